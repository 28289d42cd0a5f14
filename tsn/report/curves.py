"""Training curves of all networks of an experiment in one figure."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tsn.report.style import colour, figure, name


@dataclass(frozen=True)
class Training:
    """One network's log: `rows` has a row per epoch, columns as tsn.training.train writes them."""

    split: int
    modality: str
    rows: pd.DataFrame


def read_training(path: Path | str, split: int, modality: str) -> Training:
    """Read `training.csv`."""
    return Training(split, modality, pd.read_csv(path))


def draw_curves(path: Path | str, trainings: list[Training]) -> None:
    """Draw loss (above) and accuracy (below): a column for each modality, a line for each split.

    Lines are of the training videos, dashed ones of the videos held out for validation, if there
    are any; dotted verticals mark where the learning rate drops.
    """
    modalities = list(dict.fromkeys(training.modality for training in trainings))
    size = (max(3.0, 2.4 * len(modalities)), 4.2)
    shape = {"rows": 2, "columns": len(modalities), "squeeze": False}
    with figure(path, *size, **shape, sharex="col", sharey="row") as grid:
        for (above, below), modality in zip(grid.T, modalities, strict=True):
            for training in (t for t in trainings if t.modality == modality):
                _draw_lines(above, training.rows, "loss", 1, colour(modality))
                _draw_lines(below, training.rows, "accuracy", 100, colour(modality))
            for axes in (above, below):
                for epoch in lr_drops(training.rows):
                    axes.axvline(epoch, color="#9a9a9a", ls=":", lw=0.9)
            above.set_title(name(modality))
            below.set_xlabel("epoch")
            below.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        grid[0, 0].set_ylabel("loss")
        grid[0, 0].set_ylim(bottom=0)
        grid[1, 0].set_ylabel("accuracy, %")
        grid[1, 0].set_ylim(0, 102)


def _draw_lines(axes: Axes, rows: pd.DataFrame, column: str, unit: float, line_colour: str) -> None:
    # A schedule of one epoch is a point, which a line would not show.
    style: dict[str, Any] = {
        "color": line_colour,
        "marker": "o" if len(rows) == 1 else "",
        "lw": 1.4,
        "alpha": 0.85,
    }
    axes.plot(rows["epoch"] + 1, unit * rows[column], **style)
    held_out = rows.get(f"validation_{column}")
    if held_out is not None and held_out.notna().any():
        axes.plot(rows["epoch"] + 1, unit * held_out, ls="--", **style)


def lr_drops(rows: pd.DataFrame) -> list[float]:
    """Epochs, counted from 1, between which the learning rate falls: 10.5 is after the tenth."""
    falls = rows["lr"].diff() < 0
    return [float(epoch) + 0.5 for epoch in rows.loc[falls, "epoch"]]
