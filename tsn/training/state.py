"""The state of a training, which a stopped one resumes from."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import torch

from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.training.checkpoint import read_state, write_state
from tsn.training.distributed import ProcessGroup
from tsn.training.log import EpochMetrics
from tsn.training.validation import BestEpoch

logger = logging.getLogger("tsn")


@dataclass
class State:
    """What changes during a training: all that a resumed one needs.

    `iteration` counts finished optimiser steps; `log` has a row per epoch, by `log.COLUMNS`.
    """

    network: TSN
    optimiser: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    iteration: int = 0
    log: list[dict] = field(default_factory=list)
    epoch: EpochMetrics = field(default_factory=EpochMetrics)
    best: BestEpoch = field(default_factory=BestEpoch)

    def save(self, path: Path) -> None:
        """Write the state."""
        content = {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "iteration": self.iteration,
            "log": self.log,
            "epoch": self.epoch.state_dict(),
            "best": self.best.state_dict(),
        }
        write_state(path, content)

    def resume(self, path: Path, group: ProcessGroup) -> None:
        """Load the state if there is one; all processes take what the main one finds.

        Raises:
            UserError: if another version of this package has saved it.
        """
        saved = group.broadcast(_saved_state(path) if group.is_main else None)
        if saved is None:
            return
        try:
            self.network.load_state_dict(saved["network"])
            self.optimiser.load_state_dict(saved["optimiser"])
            # Empty where it was saved on a GPU with bf16, and goes on with fp16 on an older one.
            if saved["scaler"]:
                self.scaler.load_state_dict(saved["scaler"])
            self.iteration, self.log = saved["iteration"], saved["log"]
            self.epoch = EpochMetrics(**saved["epoch"])
            self.best = BestEpoch(**saved["best"])
        except torch.OutOfMemoryError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{path}: another version of this package saved this state of a training "
                f"({type(error).__name__}); delete the file, and the training starts anew"
            ) from error
        logger.info("resuming a stopped training at iteration %d", self.iteration)


def _saved_state(path: Path) -> dict | None:
    if not path.exists():
        return None
    try:
        return read_state(path)
    except UserError as error:
        logger.warning("%s: starting anew", error)
        return None
