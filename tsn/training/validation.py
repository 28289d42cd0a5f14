"""Validation on training videos that are held out: never on the test videos."""

import copy
from dataclasses import dataclass

from torch import nn

from tsn.datasets.group_split import sample_groups
from tsn.datasets.records import Video

PATIENCE = 5
"""Epochs without a better validation loss before it may be called overfitting."""

RISE = 1.05
"""How far the validation loss must be above its best for that: within 5 % it is noise."""


def hold_out(videos: list[Video], fraction: float, seed: int) -> tuple[list[Video], list[Video]]:
    """Split training videos into those that are trained on and whole groups that are held out.

    Args:
        videos: the training videos of a split.
        fraction: about how many of each class are held out, 0 <= fraction < 1.
        seed: seeds the choice.
    """
    if fraction == 0:
        return videos, []
    grouped = [(v.id, name, v.group or v.id) for v in videos for name in v.classes]
    held = sample_groups(grouped, fraction, f"{seed}/validation")
    return [v for v in videos if v.id not in held], [v for v in videos if v.id in held]


@dataclass
class BestEpoch:
    """The network of the best epoch so far: highest accuracy, among equals the lowest loss."""

    epoch: int = -1
    accuracy: float = -1.0
    loss: float = float("inf")
    network: dict | None = None

    def update(self, row: dict, network: nn.Module) -> None:
        """Keep a copy of the network, on the CPU, if it is the best."""
        found = (row["validation_accuracy"], -row["validation_loss"])
        if found > (self.accuracy, -self.loss):
            self.epoch, self.accuracy, self.loss = row["epoch"], found[0], -found[1]
            state = network.state_dict()
            self.network = copy.deepcopy({key: value.cpu() for key, value in state.items()})

    def state_dict(self) -> dict:
        """Resumable state: the arguments of `BestEpoch`."""
        return {key: getattr(self, key) for key in ("epoch", "accuracy", "loss", "network")}


def overfitting(rows: list[dict]) -> str | None:
    """A sentence when the last row of the log is the first to show overfitting.

    It does when the validation loss has found no new minimum for `PATIENCE` epochs and is above
    `RISE` times it, while the training loss went on falling.
    """
    if not _overfits(rows) or any(_overfits(rows[:n]) for n in range(1, len(rows))):
        return None
    best = _best(rows)
    return (
        f"overfitting: validation loss {rows[-1]['validation_loss']:.3f}, lowest "
        f"{best['validation_loss']:.3f} in epoch {best['epoch']}; since then the training loss fell"
        f" from {best['loss']:.3f} to {rows[-1]['loss']:.3f}"
    )


def _best(rows: list[dict]) -> dict:
    return min(rows, key=lambda row: row["validation_loss"])


def _overfits(rows: list[dict]) -> bool:
    best, last = _best(rows), rows[-1]
    return (
        last["epoch"] - best["epoch"] >= PATIENCE
        and last["validation_loss"] > RISE * best["validation_loss"]
        and last["loss"] < best["loss"]
    )
