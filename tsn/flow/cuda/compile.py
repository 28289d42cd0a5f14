"""Compiling the kernels at run time by NVRTC, which torch brings along, and launching them."""

import ctypes
from functools import cache
from typing import Any

import torch
from cuda.bindings import driver, nvrtc

from tsn.flow.cuda.arguments import KERNELS
from tsn.flow.cuda.source import SHAPES, headers, kernels
from tsn.runtime.cuda import OLDEST_GPU
from tsn.runtime.errors import UserError

OPTIONS = ("--std=c++17", "--ftz=true", "--prec-div=false", "--prec-sqrt=false")
"""Quick division and square root: they are off by an ulp or two, the flow by less than 1e-5 px."""


class Launcher:
    """The kernels on one GPU.

    Args:
        device: The GPU.
        components: 2, or 3 with the illumination term.
        variant: Whose answers they give, see `TVL1Params`.
    """

    def __init__(self, device: torch.device, components: int, variant: str) -> None:
        self.device = device
        multiprocessors = torch.cuda.get_device_properties(device).multi_processor_count
        self.blocks = multiprocessors * SHAPES[components].blocks
        with torch.cuda.device(device):
            torch.cuda.synchronize()  # creates the context that the module is loaded into
            code = compile_kernels(components, variant, torch.cuda.get_device_capability())
            self._module = _done(driver.cuModuleLoadData(code))
        self._functions = {
            name: _done(driver.cuModuleGetFunction(self._module, name.encode())) for name in KERNELS
        }

    def launch(
        self,
        kernel: str,
        arguments: ctypes.Structure,
        grid: tuple[int, int, int],
        block: tuple[int, int],
    ) -> None:
        """Put a kernel on the current stream of torch."""
        stream = torch.cuda.current_stream(self.device).cuda_stream
        # cuLaunchKernel wants an array of pointers to arguments, of which there is one, and copies
        # what they point to before it returns.
        pointers = (ctypes.c_void_p * 1)(ctypes.addressof(arguments))
        _done(
            driver.cuLaunchKernel(
                self._functions[kernel], *grid, *block, 1, 0, stream, ctypes.addressof(pointers), 0
            )
        )


@cache
def compile_kernels(components: int, variant: str, capability: tuple[int, int]) -> bytes:
    """Compile the kernels.

    Args:
        components: 2, or 3 with the illumination term.
        variant: Whose answers they give, see `TVL1Params`.
        capability: Compute capability of the GPU; for one newer than the compiler, code is made
            that the driver translates.

    Returns:
        A module, as `cuModuleLoadData` takes it.

    Raises:
        UserError: The GPU is older than the compiler supports.
    """
    wanted = 10 * capability[0] + capability[1]
    known = [n for n in _done(nvrtc.nvrtcGetSupportedArchs()) if n >= OLDEST_GPU]
    usable = [number for number in known if number <= wanted]
    if not usable:
        raise UserError(
            f"TV-L1 backend native_cuda: this GPU has compute capability {wanted / 10}, and the "
            f"kernels and the CUDA compiler need {min(known) / 10} or higher; "
            "use backend native_cpu"
        )
    exact = wanted in known
    target = f"--gpu-architecture={'sm' if exact else 'compute'}_{max(usable)}"
    options = [text.encode() for text in (target, *OPTIONS)]
    included = headers(components, variant)
    program = _done(
        nvrtc.nvrtcCreateProgram(
            kernels().encode(),
            b"kernels",
            len(included),
            [text.encode() for text in included.values()],
            [name.encode() for name in included],
        )
    )
    status = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = b" " * _done(nvrtc.nvrtcGetProgramLogSize(program))
        nvrtc.nvrtcGetProgramLog(program, log)
        raise RuntimeError(f"the kernels do not compile: {log.decode(errors='replace')}")
    if exact:
        code = b" " * _done(nvrtc.nvrtcGetCUBINSize(program))
        _done(nvrtc.nvrtcGetCUBIN(program, code))
    else:
        code = b" " * _done(nvrtc.nvrtcGetPTXSize(program))
        _done(nvrtc.nvrtcGetPTX(program, code))
    nvrtc.nvrtcDestroyProgram(program)
    return code


def _done(answer: tuple) -> Any:
    """The value that a CUDA call gave; an error is raised."""
    status, *values = answer
    if status.value:
        raise RuntimeError(f"CUDA: {status.name}")
    return values[0] if values else None
