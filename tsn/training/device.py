"""Where the network runs, and with what precision."""

import ctypes
import logging
import os
import platform

import numpy as np
import torch

from tsn.runtime.cuda import why_unavailable
from tsn.runtime.errors import UserError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Options of glibc's mallopt(3)."""

TENSOR_CORES = (7, 0)
"""Oldest compute capability whose GPUs multiply in fp16 faster than in fp32: Volta's."""

USABLE = 0.8
"""Fraction of the free memory that larger passes may take; the rest is lost between allocations."""

logger = logging.getLogger("tsn")


def prepare(threads: int, local_rank: int = 0) -> torch.device:
    """Choose a GPU if there is one, and make results repeatable.

    Args:
        threads: CPU threads that the process may use.
        local_rank: of this process among those of the machine, which have a GPU each.
    """
    torch.set_num_threads(max(threads, 1))
    if torch.cuda.is_available():
        # Costs nothing measurable (H200: EfficientNet-Lite0, ResNet-50, BN-Inception).
        torch.backends.cudnn.deterministic = True
        # A scheduler may show each process its own GPU only.
        device = torch.device("cuda", local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
        logger.info("running on %s", torch.cuda.get_device_name())
        return device
    if claimed := os.environ.get("CUDA_VISIBLE_DEVICES"):
        reason = why_unavailable() or "it says that there is none"
        logger.warning("torch cannot use the GPU that the job has (%s): %s", claimed, reason)
    # As `use_deterministic_algorithms`, which also tells the compiler, and imports it for seconds.
    torch.set_deterministic_debug_mode("error")
    # Filling every new tensor with NaN finds reads of memory that nobody wrote, at a quarter of the
    # time of a step; it does not make results more repeatable.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_freed_memory()
    logger.info("running on the CPU with %d threads", threads)
    return torch.device("cpu")


def half_precision(device: torch.device, precision: str) -> torch.dtype | None:
    """The type that a network computes in, None for fp32.

    Args:
        device: where it runs.
        precision: "fp32", "bf16", "fp16", or "auto": what the GPU has in hardware, bf16 before
            fp16, whose small gradients a training must scale (`gradient_scaler`).

    Raises:
        UserError: bf16 is asked for on a GPU that would emulate it, many times slower than fp32.
    """
    on_gpu = device.type == "cuda"
    has_bf16 = on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "bf16" and on_gpu and not has_bf16:
        raise UserError(
            f"precision: {torch.cuda.get_device_name()} has no bf16; set precision to auto or fp16"
        )
    if precision == "auto" and on_gpu:
        has_fp16 = torch.cuda.get_device_capability() >= TENSOR_CORES
        precision = "bf16" if has_bf16 else "fp16" if has_fp16 else "fp32"
    return {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Compute in the type of `half_precision`, where there is one."""
    dtype = half_precision(device, precision)
    return torch.autocast(device.type, dtype or torch.bfloat16, enabled=dtype is not None)


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Scales the loss of a training in fp16, and skips the steps in which a gradient overflows."""
    enabled = half_precision(device, precision) == torch.float16
    return torch.amp.GradScaler(device.type, enabled=enabled)


def seed_step(seed: int, iteration: int, micro_batch: int) -> None:
    """Seed dropout by the position in the training alone, so that a resumed run repeats it.

    Args:
        seed: of the job.
        iteration: the optimiser step.
        micro_batch: its number within the step, whichever process computes it.
    """
    words = np.random.SeedSequence([seed, iteration, micro_batch]).generate_state(2, np.uint32)
    torch.manual_seed(int(words[0]) << 31 | int(words[1]) >> 1)


def passes_that_fit(device: torch.device) -> int:
    """How many passes as large as the largest so far fit into the memory of a GPU at once.

    On a CPU 1: larger passes are no faster there.
    """
    if device.type == "cpu":
        return 1
    held = torch.cuda.memory_allocated(device)
    needed = torch.cuda.max_memory_allocated(device) - held
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - held
    return max(1, int(USABLE * free / max(needed, 1)))


def _keep_freed_memory() -> None:
    """Let glibc reuse freed activations instead of returning them to the kernel after each pass.

    Measured: a training image of EfficientNet-Lite0 at 112 px takes 10.8 ms instead of 13.5 ms.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_TRIM_THRESHOLD, 1 << 30)
        # Older ones take 32 MB at most, and would go on with 128 KB if no value were taken.
        for threshold in (32 << 20, 1 << 30):
            libc.mallopt(M_MMAP_THRESHOLD, threshold)
