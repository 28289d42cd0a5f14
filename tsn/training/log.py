"""The record of a training: the metrics of an epoch, a CSV, and TensorBoard events."""

import csv
import importlib.util
import time
from pathlib import Path

import torch

from tsn.runtime.errors import UserError
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
`waiting`: fraction of `seconds` spent waiting for data; `gradient_norm`: before clipping."""


class EpochMetrics:
    """Running sums over an epoch, which do not make a GPU wait for the CPU.

    Attributes:
        waiting: seconds spent waiting for the loader.
        gradient_norm: the last one, before clipping.
    """

    def __init__(
        self,
        sums: tuple[float, float, float] = (0.0, 0.0, 0.0),
        seconds: float = 0.0,
        waiting: float = 0.0,
    ):
        self._sums = torch.tensor(sums, dtype=torch.float64)
        self._start = time.monotonic() - seconds
        self.waiting = waiting
        self.gradient_norm: torch.Tensor | float = 0.0

    def add(self, counts: torch.Tensor) -> None:
        """Add the loss, the correct predictions and the videos of a step: float64 (3,)."""
        self._sums = self._sums.to(counts.device) + counts

    def check_finite(self, modality: str, iteration: int) -> None:
        """Wait for the device, and stop a training that diverges.

        Raises:
            UserError: if a loss of this epoch was not finite.
        """
        if not torch.isfinite(self._sums[0]):
            raise UserError(
                f"training.lr: the loss of {modality} is not finite before iteration {iteration}; "
                "lower the learning rate"
            )

    def state_dict(self) -> dict:
        """Resumable state: the arguments of `EpochMetrics`."""
        seconds = time.monotonic() - self._start
        return {"sums": self._sums.tolist(), "seconds": seconds, "waiting": self.waiting}

    def row(self) -> dict:
        """Its part of a row of the log."""
        loss, correct, videos = self._sums.tolist()
        seconds = time.monotonic() - self._start
        return {
            "loss": loss / videos,
            "accuracy": correct / videos,
            "gradient_norm": float(self.gradient_norm),
            "waiting": self.waiting / max(seconds, 1e-9),
            "seconds": seconds,
        }


class Recorder:
    """Writes the CSV after every epoch, and TensorBoard events where tensorboard is installed.

    Args:
        log: the CSV file.
        events: folder of the events.
        done: iterations that a resumed training has behind it: events of later ones are void.
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
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            numbers = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
            writer.writerow(numbers)
