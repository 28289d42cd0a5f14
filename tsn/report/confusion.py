"""Figure of the confusion matrix, readable from two classes to a few hundred."""

from pathlib import Path

import numpy as np

from tsn.report.style import SEQUENTIAL, figure, printable

_CELL = 0.14
"""Inches a class takes where there are many: a line of the smallest type that can be read."""

_SIDE = (4.0, 15.0)
"""Least and greatest side of the matrix, in inches; the room of names comes on top."""

_NUMBERED = 30
"""Up to as many classes, cells show their number of videos."""


def draw_confusion(path: Path | str, counts: np.ndarray, classes: tuple[str, ...]) -> None:
    """Draw fractions of each true class as shades, and counts of videos where there is room.

    Args:
        path: `.png` or `.svg`.
        counts: int (C, C + 1), test videos by true class and prediction; the last column, without
            a prediction, is shown only where it holds something.
        classes: C names.
    """
    shown = counts if counts[:, -1].any() else counts[:, :-1]
    predictions = [*classes, "no prediction"][: shown.shape[1]]
    size = len(classes)
    side = float(np.clip(size * max(_CELL, 4.0 / max(size, 8)), *_SIDE))
    type_size = float(np.clip(side / size * 72 * 0.75, 3, 9))
    fraction = shown / np.maximum(counts.sum(1, keepdims=True), 1)
    with figure(path, side + 1.6, side + 1.6) as axes:
        image = axes.imshow(fraction, cmap=SEQUENTIAL, vmin=0, vmax=1, interpolation="nearest")
        names = [printable(name, 20) for name in predictions]
        axes.set_xticks(range(len(predictions)), names, rotation=90, fontsize=type_size)
        axes.set_yticks(range(size), names[:size], fontsize=type_size)
        axes.tick_params(length=0)
        axes.grid(visible=False)
        axes.set_xlabel("prediction")
        axes.set_ylabel("true class")
        axes.figure.colorbar(
            image, ax=axes, shrink=0.4, aspect=30, pad=0.01, label="fraction of the true class"
        )
        if size <= _NUMBERED:
            for row, column in np.argwhere(shown):
                text_colour = "white" if fraction[row, column] > 0.5 else "black"
                axes.text(
                    column,
                    row,
                    str(shown[row, column]),
                    ha="center",
                    va="center",
                    color=text_colour,
                    fontsize=type_size,
                )
