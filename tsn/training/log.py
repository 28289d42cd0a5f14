"""The record of a training: a CSV, TensorBoard events, and curves."""

import importlib.util
from itertools import pairwise
from pathlib import Path

from tsn.runtime.files import atomic_path

COLUMNS = (
    "epoch",
    "iteration",
    "lr",
    "loss",
    "accuracy",
    "gradient_norm",
    "validation_loss",
    "validation_accuracy",
    "epochs_since_best",
    "waiting",
    "seconds",
)
"""`epochs_since_best`: since the lowest validation loss. Without validation these three are empty;
`waiting`: share of `seconds` spent waiting for data; `gradient_norm`: before clipping."""


class Recorder:
    """Writes the CSV after every epoch, and TensorBoard events where tensorboard is installed.

    Args:
        log: the CSV file.
        events: folder of the events.
        done: iterations that a run which is resumed has behind it: events of later ones are void.
    """

    def __init__(self, log: Path, events: Path, done: int):
        self._log, self._board = log, None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(events), purge_step=done + 1)

    def write(self, rows: list[dict]) -> None:
        """Write all rows to the CSV, and the last one as events."""
        write_log(self._log, rows)
        if self._board is not None and rows:
            for key, value in rows[-1].items():
                if key not in ("epoch", "iteration"):
                    self._board.add_scalar(key, value, rows[-1]["iteration"])
            self._board.flush()

    def close(self) -> None:
        """No more rows."""
        if self._board is not None:
            self._board.close()


def write_log(path: Path | str, rows: list[dict]) -> None:
    """Write the training log: CSV with `COLUMNS`."""
    import pandas as pd

    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(temporary, index=False, float_format="%.6g")


def draw_curves(path: Path | str, rows: list[dict], title: str, modality: str) -> None:
    """Draw loss and accuracy over iterations, training and validation, as a PNG.

    Dotted lines mark where the learning rate changes.
    """
    from tsn.report.style import NEUTRAL, colour, figure

    iterations = [row["iteration"] for row in rows]
    lines = (("", "training", "-"), ("validation_", "validation", "--"))
    with figure(path, 8, 3, columns=2) as both:
        for axes, key in zip(both, ("loss", "accuracy"), strict=True):
            for prefix, label, style in lines:
                values = [row.get(prefix + key) for row in rows]
                if None not in values:
                    marker = "o" if len(rows) == 1 else ""
                    paint = colour(modality) if label == "training" else NEUTRAL
                    axes.plot(iterations, values, style, color=paint, marker=marker, label=label)
            for before, after in pairwise(rows):
                if before["lr"] != after["lr"]:
                    axes.axvline(before["iteration"], color=NEUTRAL, linestyle=":", linewidth=1)
            axes.set(xlabel="iteration", title=key)
            axes.set_ylim(bottom=0)
            axes.legend()
        both[0].figure.suptitle(title)
