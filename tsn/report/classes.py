"""Figure of every class's accuracy: the fusion as a bar, modalities as markers on it."""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tsn.models.modality import FUSED
from tsn.report.style import colour, figure, marker, name, printable

_COLUMN = 36
"""Classes one below the other before another column starts: what a screen shows at a time."""

_COLUMNS = 4
"""Most columns: with more of them the names are too small to read on a screen."""


def class_accuracies(splits: list[dict]) -> dict[str, dict[str, float]]:
    """Accuracies by class and then by modality or `FUSED`, 0…1.

    Args:
        splits: `splits` of a summary; a class is averaged over those that test it.

    Returns:
        Classes from the worst fused accuracy to the best; equal ones by name.
    """
    gathered: dict[str, dict[str, list[float]]] = {}
    for split in splits:
        for scores, entry in {**split["modalities"], FUSED: split["fused"]}.items():
            for title, accuracy in entry["per_class"].items():
                gathered.setdefault(title, {}).setdefault(scores, []).append(accuracy)
    means = {
        title: {scores: float(np.mean(values)) for scores, values in entry.items()}
        for title, entry in gathered.items()
    }
    return dict(sorted(means.items(), key=lambda item: (item[1][FUSED], item[0])))


def draw_classes(path: Path | str, splits: list[dict]) -> None:
    """Draw the accuracy of every class, the hardest first.

    Args:
        path: `.png` or `.svg`.
        splits: `splits` of a summary.
    """
    classes = list(class_accuracies(splits).items())
    columns = min(ceil(len(classes) / _COLUMN), _COLUMNS)
    rows = ceil(len(classes) / columns)
    width = 7 if columns == 1 else 4.4 * columns
    with figure(path, width, 1.1 + 0.24 * rows, columns=columns, squeeze=False) as grid:
        for place, axes in enumerate(grid[0]):
            part = classes[place * rows : (place + 1) * rows]
            _draw_column(axes, part)
            axes.set_xlabel(
                "average precision, %" if "map" in splits[0]["fused"] else "accuracy, %"
            )
            axes.set_ylim(rows - 0.4, -0.6)
        grid[0, 0].figure.legend(
            handles=_legend(splits[0]["modalities"]), loc="outside upper center", ncols=5
        )


def _draw_column(axes: Axes, part: list[tuple[str, dict[str, float]]]) -> None:
    fused = [100 * entry[FUSED] for _, entry in part]
    axes.barh(range(len(part)), fused, 0.9, color=colour(FUSED), alpha=0.45)
    modalities = [scores for scores in part[0][1] if scores != FUSED]
    # Side by side where they are equal: a marker must not hide another one.
    for scores, shift in zip(modalities, np.linspace(-0.3, 0.3, len(modalities)), strict=True):
        accuracies = [100 * entry[scores] for _, entry in part]
        places = np.arange(len(part)) + (shift if len(modalities) > 1 else 0)
        style: dict[str, Any] = {
            "color": colour(scores),
            "marker": marker(scores),
            "ms": 4.5,
            "ls": "",
        }
        axes.plot(accuracies, places, mec="white", mew=0.4, clip_on=False, zorder=3, **style)
    axes.set_yticks(range(len(part)), [printable(title, 22) for title, _ in part])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 100)
    axes.grid(axis="y", visible=False)


def _legend(modalities: dict) -> list:
    bar = Line2D([], [], color=colour(FUSED), alpha=0.45, lw=6, label=name(FUSED))
    return [
        bar,
        *(
            Line2D([], [], color=colour(scores), marker=marker(scores), ls="", label=name(scores))
            for scores in modalities
        ),
    ]
