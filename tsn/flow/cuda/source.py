"""The CUDA source of the native engine, as a compiler wants it."""

from dataclasses import dataclass
from importlib.resources import files

from tsn.flow.cuda.median_network import COLUMN_SORT, MEDIAN, NETWORK

PARTS = (
    "common.cu",
    "pyramid.cu",
    "queue.cu",
    "warp.cu",
    "median.cu",
    "iterate.cu",
    "solve.cu",
)
"""Files of the folder kernels, each using those before it."""

MARGIN = 4
"""Pixels around a packed frame, as in `tsn.flow.cpu.warp`."""

STEPS = 3
"""Most iterations of a tile between two exchanges with its neighbours."""


@dataclass(frozen=True)
class Shape:
    """How `solve` is spread over threads; the flow does not depend on it.

    Attributes:
        warps: Of a block.
        rows: Of a tile, per warp.
        blocks: That fit a multiprocessor: the compiler's limit on registers.
    """

    warps: int
    rows: int
    blocks: int

    def tiles(self, height: int, width: int) -> tuple[int, int]:
        """Across and down a frame, where tiles overlap by their halos (see `iterate.cu`)."""
        sides = (width, 64, STEPS + STEPS % 2), (height, self.warps * self.rows, STEPS)
        across, down = (max(1, -(-(n - 2 * halo) // (of - 2 * halo))) for n, of, halo in sides)
        return across, down


SHAPES = {2: Shape(8, 4, 2), 3: Shape(16, 2, 1)}
"""By planes of the flow: 2, or 3 with the illumination term."""


def kernels() -> str:
    """The source of all kernels, in one piece; a compiler's messages name file and line."""
    folder = files(__package__) / "kernels"
    texts = ((name, (folder / name).read_text(encoding="utf-8")) for name in PARTS)
    return "".join(f'#line 1 "{name}"\n{text}' for name, text in texts)


def headers(components: int, variant: str) -> dict[str, str]:
    """What the source includes, by name, for compiling to a GPU's code."""
    shape = SHAPES[components]
    constants = (
        f"constexpr bool OPENCV_CUDA = {str(variant == 'opencv_cuda').lower()};\n"
        f"constexpr int COMPONENTS = {components}, STEPS = {STEPS}, MARGIN = {MARGIN}, "
        f"WARPS = {shape.warps}, ROWS = {shape.rows}, BLOCKS = {shape.blocks};\n"
    )
    return {"constants.h": constants, "median_network.h": _median_network(), "target.h": _TARGET}


_TARGET = """
#define KERNEL(name, Arguments) extern "C" __global__ void name(const __grid_constant__ Arguments a)
#define KERNEL_OF(threads, blocks, name, Arguments) \\
    extern "C" __global__ void __launch_bounds__(threads, blocks) \\
        name(const __grid_constant__ Arguments a)
__device__ void fence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
"""


def _median_network() -> str:
    """`MEDIAN_NETWORK(wire)`: sorts five columns of five and selects the median of all."""
    columns = [(5 * k + i, 5 * k + j) for k in range(5) for i, j in COLUMN_SORT]
    steps = " ".join(f"ORDER(wire[{i}], wire[{j}])" for i, j in [*columns, *NETWORK])
    return (
        "#define ORDER(a, b) { const float low = fminf(a, b); b = fmaxf(a, b); a = low; }\n"
        f"#define MEDIAN_NETWORK(wire) {steps}\n"
        f"constexpr int MEDIAN_WIRE = {MEDIAN};\n"
    )
