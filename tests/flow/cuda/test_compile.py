"""What is handed to a GPU: code for all those that the compiler knows, structures of one layout."""

import ctypes
import re
import sys

import pytest

from tsn.flow.cuda import source
from tsn.flow.cuda.arguments import KERNELS
from tsn.runtime.errors import UserError

compiles = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="torch brings no CUDA compiler here"
)


@compiles
@pytest.mark.parametrize("components", [2, 3])
@pytest.mark.parametrize("capability", [(7, 5), (9, 0)])
def test_the_kernels_compile_to_machine_code(components, capability):
    from tsn.flow.cuda.compile import compile_kernels

    code = compile_kernels(components, capability)
    assert code.startswith(b"\x7fELF")
    for kernel in KERNELS:
        assert f".text.{kernel}".encode() in code


@compiles
def test_a_gpu_newer_than_the_compiler_gets_code_that_its_driver_translates():
    from tsn.flow.cuda.compile import compile_kernels

    assert b".entry iterate" in compile_kernels(2, (99, 0))


@compiles
def test_a_gpu_older_than_the_compiler_is_refused_with_a_way_out():
    from tsn.flow.cuda.compile import compile_kernels

    with pytest.raises(UserError, match=r"capability 3.5.*use backend native_cpu"):
        compile_kernels(2, (3, 5))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_structures_are_laid_out_as_the_kernels_have_them(emulated_launcher, kernel):
    assert ctypes.sizeof(KERNELS[kernel]) == emulated_launcher(2).size_of(kernel)


def test_the_tiles_are_those_of_the_kernels():
    text = source.kernels()
    constant = {
        name: int(value) for name, value in re.findall(r"(STEPS|WARPS|MARGIN) = (\d+)", text)
    }
    assert constant == {
        "STEPS": source.STEPS,
        "WARPS": source.WARPS,
        "MARGIN": source.MARGIN,
    }
    rows = dict(zip((2, 3), map(int, re.search(r"\? (\d) : (\d)", text).groups()), strict=True))
    wide = int(re.search(r"TILE_W = (\d+)", text)[1])
    halo = 2 * source.STEPS
    assert (wide - halo, {c: source.WARPS * r - halo for c, r in rows.items()}) == source.TILE
