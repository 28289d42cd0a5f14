"""The CUDA kernels compiled for the CPU; see emulated_target.h."""

import ctypes
import subprocess
from pathlib import Path

import torch

from tsn.flow.cuda.arguments import KERNELS
from tsn.flow.cuda.source import headers, kernels

TARGET = Path(__file__).with_name("emulated_target.h")


class EmulatedLauncher:
    """Runs kernels on the CPU, on CPU tensors.

    Args:
        library: What `compile_for_cpu` made.
    """

    device = torch.device("cpu")

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self.launched: list[str] = []

    def size_of(self, kernel: str) -> int:
        """Bytes of a kernel's arguments, as the compiler lays them out."""
        return getattr(self._library, f"size_of_{kernel}")()

    def launch(self, kernel, arguments, grid, block):
        self.launched.append(kernel)
        assert type(arguments) is KERNELS[kernel]
        run = getattr(self._library, f"emulate_{kernel}")
        run(ctypes.byref(arguments), *map(ctypes.c_uint, (*grid, *block)))


def compile_for_cpu(compiler: str, components: int, folder: Path) -> Path:
    """Compile the kernels with a C++ compiler; return the library."""
    for name, text in {**headers(), "target.h": TARGET.read_text(), "k.cpp": kernels()}.items():
        (folder / name).write_text(text)
    library = folder / f"kernels{components}.so"
    subprocess.run(
        [
            compiler, "-std=c++17", "-O2", "-shared", "-fPIC", "-fno-strict-aliasing",
            f"-DCOMPONENTS={components}", "-o", str(library), str(folder / "k.cpp"),
        ],
        check=True,
    )  # fmt: skip
    return library
