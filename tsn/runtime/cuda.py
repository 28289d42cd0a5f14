"""Whether the GPU engine can run here, found out without importing torch."""

import runpy
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from tsn.runtime.cuda_driver import NO_DEVICE, SUCCESS, Driver, read_driver

OLDEST_GPU = 70
"""Least compute capability of our kernels, times ten: older GPUs lack fences and sleeping threads
(PTX `fence` and `nanosleep`)."""


def gpu_is_there() -> bool:
    """Whether there is an NVIDIA GPU, as far as a driver that may not start can tell."""
    driver = _driver()
    if driver is None or driver.status == NO_DEVICE:
        return False
    return driver.status != SUCCESS or bool(driver.capabilities)


@cache
def why_unavailable() -> str | None:
    """Return why the engine cannot run here and what to do about it, or None if it can."""
    driver = _driver()
    if driver is None:
        return "there is no NVIDIA driver here"
    if driver.status not in (SUCCESS, NO_DEVICE):
        return (
            f"the NVIDIA driver does not start (CUDA error {driver.status}); restart the machine "
            "or install the driver anew"
        )
    if not driver.capabilities:
        return "there is no NVIDIA GPU here that may be used"
    return _torch_fails(driver) or _compiler_fails(driver)


@cache
def _driver() -> Driver | None:
    return read_driver()


def _torch_fails(driver: Driver) -> str | None:
    """Why the installed torch cannot use the GPU, or None."""
    torch = find_spec("torch")
    if torch is None or torch.origin is None:
        return "torch is not installed"
    # Torch says so in a file that imports nothing; importing torch takes seconds.
    built = runpy.run_path(str(Path(torch.origin).with_name("version.py"))).get("cuda")
    if not built:
        return "the installed torch was built without CUDA; install a torch built for CUDA"
    known, minor = divmod(driver.version, 1000)
    if known < int(built.split(".")[0]):
        return (
            f"the NVIDIA driver supports CUDA {known}.{minor // 10} and the installed torch was "
            f"built for {built}; update the driver, or install a torch built for CUDA {known}"
        )
    return None


def _compiler_fails(driver: Driver) -> str | None:
    """Why no code for the GPU can be compiled, or None."""
    try:
        from cuda.bindings import nvrtc
    except ImportError:
        return "the package cuda-bindings, which comes with torch, is not installed; install it"
    try:
        status, known = nvrtc.nvrtcGetSupportedArchs()
    except RuntimeError:
        return "CUDA's compiler libnvrtc is missing; install the package nvidia-cuda-nvrtc"
    capability = driver.capabilities[0]
    least = max(OLDEST_GPU, min(known, default=0))
    if status.value or 10 * capability[0] + capability[1] < least:
        return (
            f"this GPU has compute capability {capability[0]}.{capability[1]}, and our "
            f"kernels and the CUDA compiler that came with torch need {least / 10} or higher"
        )
    return None
