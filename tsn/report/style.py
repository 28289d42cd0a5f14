"""The style of every figure, and how it is saved.

    with figure("curves.png", 8, 3, columns=2) as (left, right):
        left.plot(epochs, losses, color=colour("flow"), label=name("flow"))

Colours are those of Okabe & Ito, "Color Universal Design" (2008), which people with any kind of
colour vision can tell apart: the family of RGB is blue, that of flow is orange, fusion is green.
They never carry a meaning alone: a label, a value or a marker says the same.
"""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tsn.models.modality import FUSED, NAMES
from tsn.runtime.files import atomic_path

COLOURS = {
    "rgb": "#0072B2",
    "rgb_diff": "#56B4E9",
    "flow": "#D55E00",
    "warped_flow": "#E69F00",
    FUSED: "#009E73",
}
MARKERS = {"rgb": "o", "rgb_diff": "v", "flow": "s", "warped_flow": "D", FUSED: "P"}
NEUTRAL = "#767676"
"""Grey for all that is no modality; has a contrast of 4.5 : 1 on white (WCAG 2.2, AA)."""

SEQUENTIAL = "Blues"
"""Colour map of counts and fractions: one hue, white is none, darker is more."""

DPI = 150
"""Of PNG files, so that small type stays sharp when a screen shows them at their size."""

_STYLE: Any = {
    "savefig.dpi": DPI,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": NEUTRAL,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e3e3e3",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "text.parse_math": False,  # a class may be called $5
    "svg.fonttype": "none",  # text stays text: small files, and names that can be searched for
    "svg.hashsalt": "tsn",  # equal figures are equal files
}


@contextmanager
def figure(
    path: Path | str, width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> Iterator[Any]:
    """Draw into a file, which appears when the block ends without an error.

    Args:
        path: where to; the ending, `.png` or `.svg`, is the format.
        width: in inches.
        height: in inches.
        rows: of axes.
        columns: of axes.
        grid: further arguments of `Figure.subplots`, such as `sharey` or `width_ratios`.

    Yields:
        The axes: one, or an array of them as from `Figure.subplots`.
    """
    with matplotlib.rc_context(_STYLE):
        # No pyplot: it keeps figures alive and looks for a display.
        canvas = Figure(figsize=(width, height), layout="constrained")
        yield canvas.subplots(rows, columns, **grid)
        # Neither the date nor the library's version: equal figures are equal files.
        ending = Path(path).suffix.removeprefix(".")
        empty_metadata = {"png": ("Software",), "svg": ("Date", "Creator")}[ending]
        with atomic_path(path) as temporary:
            canvas.savefig(
                temporary,
                format=ending,
                metadata=dict.fromkeys(empty_metadata),
                bbox_inches="tight",
            )


def colour(scores: str) -> str:
    """The colour of a modality, or of `FUSED`; grey for anything else."""
    return COLOURS.get(scores, NEUTRAL)


def marker(scores: str) -> str:
    """The marker of a modality, or of `FUSED`; a star for anything else."""
    return MARKERS.get(scores, "*")


def name(scores: str) -> str:
    """What people call a modality; other names stay as they are."""
    return NAMES.get(scores, scores)


def printable(text: str, longest: int = 28) -> str:
    """A name from a data set as it can be drawn: no control characters, not too long.

    Its middle is left out: classes of Kinetics and Something-Something often differ at their ends.

    Examples:
        >>> printable("passing American football (in game)", 22)
        'passing Am…l (in game)'
    """
    valid = text.encode(errors="replace").decode()
    plain = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in valid)
    if len(plain) <= longest:
        return plain
    start = (longest - 1) // 2
    return f"{plain[:start]}…{plain[start + 1 - longest :]}"
