"""Validation on training videos that are held out: never on the test videos."""

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader

from tsn.datasets.group_split import sample_groups
from tsn.datasets.records import Video
from tsn.training.device import autocast
from tsn.training.epoch import counts, summed_loss
from tsn.training.processes import Processes

PATIENCE = 5
"""Epochs without a better validation loss before it may be called overfitting."""

RISE = 1.05
"""How far the validation loss must be above its best for that: within 5 % it is noise."""


def hold_out(videos: list[Video], share: float, seed: int) -> tuple[list[Video], list[Video]]:
    """Split training videos into those that are trained on and whole groups that are held out.

    Args:
        videos: the training videos of a split.
        share: about how many of each class are held out, 0 <= share < 1.
        seed: seeds the choice.
    """
    if share == 0:
        return videos, []
    grouped = [(v.id, v.class_name, v.group or v.id) for v in videos]
    held = sample_groups(grouped, share, f"{seed}/validation")
    return [v for v in videos if v.id not in held], [v for v in videos if v.id in held]


@torch.inference_mode()
def validate(
    network: nn.Module,
    loader: DataLoader,
    device: torch.device,
    precision: str,
    processes: Processes,
) -> dict[str, float]:
    """Loss and accuracy over the held-out videos, which the processes share.

    The network is in training mode before and after.
    """
    network.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=device)
    for clips, labels in loader:
        clips, labels = clips.to(device), labels.to(device)
        with autocast(device, precision):
            scores = network(clips)
        sums += counts(summed_loss(scores, labels), scores, labels)
    network.train()
    loss, correct, count = processes.add(sums).tolist()
    return {"validation_loss": loss / count, "validation_accuracy": correct / count}


@dataclass
class Best:
    """The network of the best epoch so far: most accurate, of equals that of the lowest loss."""

    epoch: int = -1
    accuracy: float = -1.0
    loss: float = float("inf")
    network: dict | None = None

    def offer(self, row: dict, network: nn.Module) -> None:
        """Keep a copy of the network, on the CPU, if it is the best."""
        found = (row["validation_accuracy"], -row["validation_loss"])
        if found > (self.accuracy, -self.loss):
            self.epoch, self.accuracy, self.loss = row["epoch"], found[0], -found[1]
            state = network.state_dict()
            self.network = copy.deepcopy({key: value.cpu() for key, value in state.items()})

    def state(self) -> dict:
        """What another process needs to go on with it: the arguments of `Best`."""
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
