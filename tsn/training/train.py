"""Training one modality on one split."""

import hashlib
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch.nn.functional import cross_entropy

from tsn.config import ModelConfig, TrainingConfig
from tsn.data.dataset import MicroBatches, TrainingSnippets
from tsn.data.index import class_names, members, read_index
from tsn.data.loader import make_loader
from tsn.data.shard_set import ShardSet
from tsn.errors import UserError
from tsn.files import atomic_path
from tsn.job import code_version
from tsn.models.network import TSN
from tsn.models.parameter_groups import parameter_groups
from tsn.progress import Meter
from tsn.training.checkpoint import ModelInfo, new_network, read_state, save_model, write_state
from tsn.training.device import autocast, prepare

LOG_COLUMNS = ("epoch", "iteration", "lr", "loss", "accuracy", "gradient_norm", "seconds")
SAVE_SECONDS = 60.0
"""How much work a kill may cost."""

logger = logging.getLogger("tsn")


@dataclass(frozen=True)
class TrainingJob:
    """What is trained on what: names for the record, and everything that determines the result."""

    dataset: str
    experiment: str
    split: int
    modality: str
    seed: int
    model: ModelConfig
    recipe: TrainingConfig


def train(
    job: TrainingJob,
    index: Path | str,
    shards: list[str],
    model_file: Path,
    log_file: Path,
    threads: int,
) -> None:
    """Train and write the model file and the log (CSV: one row per epoch).

    Killed and started again, it goes on from the last saved state; the result is the same, bit for
    bit on a CPU. The state lies beside the model file and is removed at the end.

    Raises:
        UserError: if there is nothing to train on, or the loss is not finite.
    """
    device = prepare(threads)
    videos = read_index(index)
    store = ShardSet(shards)
    snippets = TrainingSnippets(
        store,
        members(videos, job.split, "train"),
        job.modality,
        job.recipe,
        job.model.input_size,
        job.seed,
    )
    if not len(snippets):
        raise UserError(
            f"split {job.split}: every train video is quarantined in the {store.stream} shards"
        )
    classes = class_names(videos)
    torch.manual_seed(job.seed)
    network = new_network(len(classes), job.modality, job.model, job.recipe)
    network = network.to(device, memory_format=torch.channels_last)
    state_file = _state_file(model_file, job, store, [video.id for video in snippets.videos])
    run = Run(job, network, snippets, device, threads, state_file)
    run.go()
    info = ModelInfo(
        job.dataset,
        job.experiment,
        job.split,
        job.modality,
        tuple(classes),
        job.model.backbone,
        job.model.consensus,
        job.recipe.segments,
        job.model.input_size,
        job.seed,
        store.fingerprint,
        code_version(),
    )
    write_log(log_file, run.log)
    save_model(model_file, network.cpu(), info)
    for finished in model_file.parent.glob(".training-*.pt"):
        finished.unlink(missing_ok=True)


class Run:
    """The loop: iterations over the micro-batches, with state saved in between."""

    def __init__(
        self,
        job: TrainingJob,
        network: TSN,
        snippets: TrainingSnippets,
        device: torch.device,
        threads: int,
        state_file: Path,
    ):
        self._job, self._network, self._snippets = job, network, snippets
        self._device, self._threads, self._state_file = device, threads, state_file
        recipe = job.recipe
        groups = parameter_groups(network, job.modality, recipe.lr, recipe.weight_decay)
        self._optimiser = torch.optim.SGD(groups, momentum=recipe.momentum)
        self.log: list[dict] = []
        self._iteration = 0

    def go(self) -> None:
        """Train to the end of the schedule, from the saved state if there is one."""
        recipe = self._job.recipe
        epoch = self._resume()
        batches = self._batches(0, 0)
        total = recipe.length * (batches.per_epoch if recipe.unit == "epoch" else 1)
        batches = self._batches(self._iteration, total)
        what = f"train {self._job.modality} split {self._job.split}"
        meter = Meter(total, "iterations", what, self._iteration)
        loader = iter(
            make_loader(self._snippets, self._device, self._threads, batch_sampler=batches)
        )
        last_save = time.monotonic()
        self._network.train()
        while self._iteration < total:
            lr = self._set_lr(batches.per_epoch)
            self._step(loader, batches.size(self._iteration), epoch)
            self._iteration += 1
            if self._iteration % batches.per_epoch == 0 or self._iteration == total:
                number = (self._iteration - 1) // batches.per_epoch
                self.log.append(
                    {"epoch": number, "iteration": self._iteration, "lr": lr, **epoch.row()}
                )
                epoch = Epoch()
            if time.monotonic() - last_save > SAVE_SECONDS and self._iteration < total:
                self._save(epoch)
                last_save = time.monotonic()
            meter.advance(note=f", loss {self.log[-1]['loss']:.3f}" if self.log else "")
        meter.finish()

    def _batches(self, start: int, stop: int) -> MicroBatches:
        recipe = self._job.recipe
        count = len(self._snippets)
        return MicroBatches(
            count, recipe.batch_size, recipe.micro_batch, self._job.seed, range(start, stop)
        )

    def _set_lr(self, per_epoch: int) -> float:
        recipe = self._job.recipe
        position = self._iteration // per_epoch if recipe.unit == "epoch" else self._iteration
        lr = recipe.lr * 0.1 ** sum(position >= step for step in recipe.steps)
        for group in self._optimiser.param_groups:
            group["lr"] = lr * group["lr_multiplier"]
        return lr

    def _step(self, loader: Iterator, batch: int, epoch: "Epoch") -> None:
        """One optimiser step: the gradients of the micro-batches add up to that of the batch."""
        # Dropout depends on the seed and the iteration alone, so a resumed run repeats it.
        torch.manual_seed(self._job.seed * 1_000_003 + self._iteration)
        self._optimiser.zero_grad(set_to_none=True)
        seen = 0
        while seen < batch:
            clips, labels = next(loader)
            clips = clips.to(self._device, non_blocking=True)
            labels = labels.to(self._device, non_blocking=True)
            with autocast(self._device, self._job.recipe.precision):
                scores = self._network(clips)
            loss = cross_entropy(scores.float(), labels)
            if not torch.isfinite(loss):
                raise UserError(
                    f"training.lr: the loss of {self._job.modality} is not finite at iteration "
                    f"{self._iteration}; lower the learning rate"
                )
            (loss * (len(labels) / batch)).backward()
            seen += len(labels)
            epoch.add(loss, scores, labels)
        limit = self._job.recipe.clip_gradient or float("inf")
        epoch.norm = float(torch.nn.utils.clip_grad_norm_(self._network.parameters(), limit))
        self._optimiser.step()

    def _save(self, epoch: "Epoch") -> None:
        state = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "iteration": self._iteration,
            "log": self.log,
            "epoch": epoch.state(),
        }
        write_state(self._state_file, state)

    def _resume(self) -> "Epoch":
        if not self._state_file.exists():
            return Epoch()
        try:
            state = read_state(self._state_file)
        except UserError as error:
            logger.warning("%s: starting anew", error)
            return
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._iteration, self.log = state["iteration"], state["log"]
        logger.info("going on from iteration %d of a stopped run", self._iteration)
        return Epoch(**state["epoch"])


class Epoch:
    """Running means over an epoch."""

    def __init__(self, loss: float = 0.0, correct: int = 0, count: int = 0, seconds: float = 0.0):
        self._loss, self._correct, self._count = loss, correct, count
        self._start = time.monotonic() - seconds
        self.norm = 0.0

    def add(self, loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> None:
        """Count one micro-batch."""
        self._loss += float(loss.detach()) * len(labels)
        self._correct += int((scores.argmax(1) == labels).sum())
        self._count += len(labels)

    def state(self) -> dict:
        """What another process needs to go on with it: the arguments of `Epoch`."""
        return {
            "loss": self._loss,
            "correct": self._correct,
            "count": self._count,
            "seconds": time.monotonic() - self._start,
        }

    def row(self) -> dict:
        """Its part of a row of the log; `gradient_norm` is the last one, before clipping."""
        return {
            "loss": self._loss / self._count,
            "accuracy": self._correct / self._count,
            "gradient_norm": self.norm,
            "seconds": time.monotonic() - self._start,
        }


def write_log(path: Path, rows: list[dict]) -> None:
    """Write the training log: CSV with `LOG_COLUMNS`."""
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=LOG_COLUMNS).to_csv(temporary, index=False, float_format="%.6g")


def _state_file(model_file: Path, job: TrainingJob, store: ShardSet, ids: list[str]) -> Path:
    """A name that belongs to exactly this training, so that a changed one never resumes from it."""
    identity = json.dumps([asdict(job), store.fingerprint, ids], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return Path(model_file).with_name(f".training-{digest}.pt")
