"""What is handed to a GPU: code for all those that the compiler knows, structures of one layout."""

import ctypes
import sys

import pytest

from tsn.flow.cuda.arguments import IN_MEMORY, KERNELS
from tsn.runtime.errors import UserError

compiles = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="torch brings no CUDA compiler here"
)


@compiles
@pytest.mark.parametrize(
    ("components", "variant", "capability"),
    [(2, "opencv", (7, 5)), (3, "opencv", (9, 0)), (2, "opencv_cuda", (9, 0))],
)
def test_the_kernels_compile_to_machine_code(components, variant, capability):
    from tsn.flow.cuda.compile import compile_kernels

    code = compile_kernels(components, variant, capability)
    assert code.startswith(b"\x7fELF")
    for kernel in KERNELS:
        assert f".text.{kernel}".encode() in code


@compiles
def test_a_gpu_newer_than_the_compiler_gets_code_that_its_driver_translates():
    from tsn.flow.cuda.compile import compile_kernels

    assert b".entry solve" in compile_kernels(2, "opencv", (99, 0))


@compiles
def test_a_gpu_older_than_the_compiler_is_refused_with_a_way_out():
    from tsn.flow.cuda.compile import compile_kernels

    with pytest.raises(UserError, match=r"capability 3.5.*use backend native_cpu"):
        compile_kernels(2, "opencv", (3, 5))


@pytest.mark.parametrize("structure", [*KERNELS.values(), *IN_MEMORY])
def test_the_structures_are_laid_out_as_the_kernels_have_them(emulated_launcher, structure):
    assert ctypes.sizeof(structure) == emulated_launcher(2).size_of(structure)
