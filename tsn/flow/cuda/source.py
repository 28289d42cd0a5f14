"""The CUDA source of the native engine, as a compiler wants it."""

from importlib.resources import files

from tsn.flow.cuda.median_network import COLUMN_SORT, MEDIAN, NETWORK

PARTS = ("common.cu", "pyramid.cu", "warp.cu", "iterate.cu", "median.cu", "store.cu")
"""Files of the folder kernels, each using those before it."""

TILE = (52, {2: 52, 3: 20})
"""Width, and height by components, that a block of `iterate` writes (USEFUL_W and USEFUL_H)."""

WARPS = 16
"""Warps of a block of `iterate`."""

STEPS = 6
"""Most iterations of one launch of `iterate`: a look after so many costs little, and 30 divide."""

MARGIN = 4
"""Zeros around a packed frame."""


def kernels() -> str:
    """The source of all kernels, in one piece; a compiler's messages name file and line."""
    folder = files(__package__) / "kernels"
    texts = ((name, (folder / name).read_text(encoding="utf-8")) for name in PARTS)
    return "".join(f'#line 1 "{name}"\n{text}' for name, text in texts)


def headers() -> dict[str, str]:
    """What the source includes, by name, for compiling to a GPU's code."""
    return {"median_network.h": _median_network(), "target.h": _TARGET}


_TARGET = """
#define KERNEL(name, Arguments) extern "C" __global__ void name(const Arguments a)
#define KERNEL_OF(threads, name, Arguments) \\
    extern "C" __global__ void __launch_bounds__(threads) name(const Arguments a)
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
