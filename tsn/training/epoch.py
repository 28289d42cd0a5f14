"""What is counted during an epoch, without making a GPU wait for the CPU."""

import time

import torch
from torch.nn.functional import cross_entropy

from tsn.runtime.errors import UserError


def summed_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy after softmax, in float32, summed over videos: scores (N, C), labels (N,)."""
    return cross_entropy(scores.float(), labels, reduction="sum")


def counts(loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed loss, number of right answers and of videos: float64 (3,), on the device."""
    correct = (scores.argmax(1) == labels).sum()
    return torch.stack([loss.detach(), correct, torch.full_like(correct, len(labels))]).double()


class Epoch:
    """Running sums over an epoch; `seconds` of it were spent, `waiting` of them for data."""

    def __init__(
        self,
        device: torch.device,
        sums: tuple[float, float, float] = (0.0, 0.0, 0.0),
        seconds: float = 0.0,
        waiting: float = 0.0,
    ):
        self._sums = torch.tensor(sums, dtype=torch.float64, device=device)
        self._start = time.monotonic() - seconds
        self.waiting = waiting
        self.gradient_norm: torch.Tensor | float = 0.0

    def add(self, counted: torch.Tensor) -> None:
        """Add the `counts` of a step."""
        self._sums += counted

    def check_finite(self, what: str, iteration: int) -> None:
        """Wait for the device, and stop a training that has gone astray.

        Raises:
            UserError: if a loss of this epoch was not finite.
        """
        if not torch.isfinite(self._sums[0]):
            raise UserError(
                f"training.lr: the loss of {what} is not finite before iteration {iteration}; "
                "lower the learning rate"
            )

    def state(self) -> dict:
        """What another process needs to go on with it: the arguments of `Epoch`."""
        seconds = time.monotonic() - self._start
        return {"sums": self._sums.tolist(), "seconds": seconds, "waiting": self.waiting}

    def row(self) -> dict:
        """Its part of a row of the log.

        `gradient_norm` is the last one, before clipping; `waiting` the share of the time that the
        process waited for the loader.
        """
        loss, correct, count = self._sums.tolist()
        seconds = time.monotonic() - self._start
        return {
            "loss": loss / count,
            "accuracy": correct / count,
            "gradient_norm": float(self.gradient_norm),
            "waiting": self.waiting / max(seconds, 1e-9),
            "seconds": seconds,
        }
