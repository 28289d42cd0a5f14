"""The CUDA kernels compiled for the CPU; see emulated_target.h."""

import ctypes
import subprocess
from pathlib import Path

import torch

from tsn.flow.cuda.arguments import IN_MEMORY, KERNELS
from tsn.flow.cuda.source import headers, kernels

TARGET = Path(__file__).with_name("emulated_target.h")


class EmulatedLauncher:
    """Runs kernels on the CPU, on CPU tensors.

    Args:
        library: What `compile_for_cpu` made.
    """

    device = torch.device("cpu")
    blocks = 4

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self.launched: list[str] = []

    def size_of(self, structure: type[ctypes.Structure]) -> int:
        """Bytes of a structure, as the compiler lays it out."""
        return getattr(self._library, f"size_of_{structure.__name__}")()

    def launch(self, kernel, arguments, grid, block):
        self.launched.append(kernel)
        assert type(arguments) is KERNELS[kernel]
        run = getattr(self._library, f"emulate_{kernel}")
        run(ctypes.byref(arguments), *map(ctypes.c_uint, (*grid, *block)))


def compile_for_cpu(compiler: str, components: int, variant: str, folder: Path) -> Path:
    """Compile the kernels with a C++ compiler; return the library."""
    sizes = "".join(f"SIZE_OF({structure.__name__})\n" for structure in IN_MEMORY)
    write_sources(components, variant, folder, sizes)
    library = folder / "kernels.so"
    subprocess.run(
        [
            compiler, "-std=c++17", "-O2", "-shared", "-fPIC", "-fno-strict-aliasing",
            "-pthread",
            "-o", str(library), str(folder / "k.cpp"),
        ],
        check=True,
    )  # fmt: skip
    return library


def write_sources(components: int, variant: str, folder: Path, more: str = "") -> None:
    """Write the kernels, k.cpp with `more` behind them, and what they include into a folder."""
    own = {"target.h": TARGET, "watch.h": TARGET.with_name("watch.h")}
    texts = {name: path.read_text() for name, path in own.items()}
    texts = {**headers(components, variant), **texts, "k.cpp": kernels() + more}
    for name, text in texts.items():
        (folder / name).write_text(text)
