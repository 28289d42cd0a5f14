"""The training loop: optimiser steps over micro-batches, with state saved in between."""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from tsn.data.dataset import CentreSnippets, MicroBatches, TrainingSnippets
from tsn.data.loader import make_loader
from tsn.models.network import TSN
from tsn.models.parameter_groups import parameter_groups
from tsn.runtime.errors import UserError
from tsn.runtime.progress import Meter
from tsn.training.batch_statistics import BatchStatistics
from tsn.training.checkpoint import read_state, write_state
from tsn.training.device import autocast, seed_step
from tsn.training.epoch import Epoch, counts, summed_loss
from tsn.training.log import Recorder
from tsn.training.processes import Processes
from tsn.training.schedule import learning_rate, total_iterations
from tsn.training.task import TrainingJob
from tsn.training.validation import Best, overfitting, validate

SAVE_SECONDS = 60.0
"""How much work a kill may cost."""

LOOK_EVERY = 50
"""Iterations between two looks at the loss: each one makes a GPU wait for the CPU."""

logger = logging.getLogger("tsn")


class Run:
    """One training.

    The result depends on the batch and the micro-batch, and not on how many processes share them,
    nor on how often the run was killed and started again.

    Attributes:
        log: a row per epoch, by `log.COLUMNS`.
        best: the best epoch, where there is validation.
    """

    def __init__(
        self,
        job: TrainingJob,
        network: TSN,
        snippets: TrainingSnippets,
        held_out: CentreSnippets,
        device: torch.device,
        threads: int,
        processes: Processes,
        state_file: Path,
        save_seconds: float = SAVE_SECONDS,
    ):
        self._job, self._recipe, self._network = job, job.recipe, network
        self._snippets, self._held_out = snippets, held_out
        self._device, self._threads, self._processes = device, threads, processes
        self._state_file, self._save_seconds = state_file, save_seconds
        groups = parameter_groups(network, job.modality, job.recipe.lr, job.recipe.weight_decay)
        self._optimiser = torch.optim.SGD(groups, momentum=job.recipe.momentum)
        self.log: list[dict] = []
        self.best = Best()
        self._iteration = 0
        self._epoch = Epoch(device)

    def go(self, log_file: Path) -> None:
        """Train to the end of the schedule, from the saved state if there is one."""
        self._resume()
        per_epoch = self._batches(0, 0).per_epoch
        total = total_iterations(self._recipe, per_epoch)
        batches = self._batches(self._iteration, total)
        self._warn_of_idle_processes(batches)
        loader = iter(
            make_loader(self._snippets, self._device, self._threads, batch_sampler=batches)
        )
        validation = self._validation_loader()
        self._network.train()
        statistics = BatchStatistics(self._network, self._processes)
        model = self._prepared()
        events = log_file.with_name("tensorboard")
        recorder = Recorder(log_file, events, self._iteration) if self._processes.first else None
        what = f"train {self._job.modality} split {self._job.split}"
        meter = Meter(total, "iterations", what, self._iteration)
        last_save = time.monotonic()
        while self._iteration < total:
            lr = self._set_lr(per_epoch)
            self._step(model, loader, batches, statistics)
            self._iteration += 1
            if self._iteration % per_epoch == 0 or self._iteration == total:
                self._end_epoch((self._iteration - 1) // per_epoch, lr, validation, recorder)
            elif self._iteration % LOOK_EVERY == 0:
                self._epoch.check_finite(self._job.modality, self._iteration)
            if time.monotonic() - last_save > self._save_seconds and self._iteration < total:
                self._save()
                last_save = time.monotonic()
            meter.advance(note=f", loss {self.log[-1]['loss']:.3f}" if self.log else "")
        meter.finish()
        if recorder:
            recorder.close()

    def _batches(self, start: int, stop: int) -> MicroBatches:
        recipe, processes = self._recipe, self._processes
        return MicroBatches(
            len(self._snippets),
            recipe.batch_size,
            recipe.micro_batch,
            self._job.seed,
            range(start, stop),
            processes.rank,
            processes.count,
        )

    def _warn_of_idle_processes(self, batches: MicroBatches) -> None:
        count, parts = self._processes.count, batches.parts(0)
        if parts % count and self._processes.first:
            logger.warning(
                "training.micro_batch: %d micro-batches of %d keep %d processes unequally busy; "
                "a divisor of %d does not",
                parts,
                self._recipe.micro_batch,
                count,
                max(self._recipe.batch_size // count, 1),
            )

    def _validation_loader(self) -> DataLoader | None:
        if not len(self._held_out):
            return None
        mine = range(self._processes.rank, len(self._held_out), self._processes.count)
        subset = Subset(self._held_out, mine)
        size = self._recipe.micro_batch
        return make_loader(subset, self._device, self._threads, batch_size=size)

    def _prepared(self) -> nn.Module:
        """The network, compiled and shared with the other processes where that is wanted."""
        if self._recipe.compile:
            self._network.compile()
        if self._processes.count == 1:
            return self._network
        gpu = [self._device.index] if self._device.type == "cuda" else None
        with warnings.catch_warnings():
            # Buffers are the business of BatchStatistics. The newest PyTorch has another name for
            # this argument, which the oldest that we run on does not know.
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(
                self._network, device_ids=gpu, broadcast_buffers=False, gradient_as_bucket_view=True
            )

    def _set_lr(self, per_epoch: int) -> float:
        lr = learning_rate(self._recipe, self._iteration, per_epoch)
        for group in self._optimiser.param_groups:
            group["lr"] = lr * group["lr_multiplier"]
        return lr

    def _step(
        self,
        model: nn.Module,
        loader: Iterator,
        batches: MicroBatches,
        statistics: BatchStatistics,
    ) -> None:
        """One optimiser step: the gradients of the micro-batches add up to that of the batch."""
        self._optimiser.zero_grad(set_to_none=True)
        statistics.begin()
        step = torch.zeros(3, dtype=torch.float64, device=self._device)
        size = batches.size(self._iteration)
        # A process without a micro-batch takes part with a stand-in that counts nothing.
        mine = list(batches.mine(self._iteration)) or [None]
        for part in mine:
            clips, labels = self._next(loader)
            seed_step(self._job.seed, self._iteration, part or 0)
            last = part == mine[-1]
            with nullcontext() if last or model is self._network else model.no_sync():
                with autocast(self._device, self._recipe.precision):
                    scores = model(clips)
                loss = summed_loss(scores, labels)
                share = 0.0 if part is None else self._processes.count / size  # DDP takes the mean
                (loss * share).backward()
            statistics.record()
            if part is not None:
                step += counts(loss, scores, labels)
        statistics.update(batches.parts(self._iteration))
        self._epoch.add(self._processes.add(step))
        limit = self._recipe.clip_gradient or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), limit)
        self._epoch.gradient_norm = norm
        self._optimiser.step()

    def _next(self, loader: Iterator) -> tuple[torch.Tensor, torch.Tensor]:
        start = time.monotonic()
        clips, labels = next(loader)
        self._epoch.waiting += time.monotonic() - start
        return (
            clips.to(self._device, non_blocking=True),
            labels.to(self._device, non_blocking=True),
        )

    def _end_epoch(
        self, number: int, lr: float, validation: DataLoader | None, recorder: Recorder | None
    ) -> None:
        self._epoch.check_finite(self._job.modality, self._iteration)
        row = {"epoch": number, "iteration": self._iteration, "lr": lr, **self._epoch.row()}
        self._epoch = Epoch(self._device)
        if validation is not None:
            precision = self._recipe.precision
            row |= validate(self._network, validation, self._device, precision, self._processes)
            lowest = min([*self.log, row], key=lambda row: row["validation_loss"])
            row["epochs_since_best"] = number - lowest["epoch"]
            self.best.offer(row, self._network)
        self.log.append(row)
        if recorder:
            recorder.write(self.log)
            if validation is not None and (warning := overfitting(self.log)):
                logger.warning("%s: %s", self._job.modality, warning)

    def _save(self) -> None:
        if not self._processes.first:
            return
        self._epoch.check_finite(self._job.modality, self._iteration)
        write_state(
            self._state_file,
            {
                "network": self._network.state_dict(),
                "optimiser": self._optimiser.state_dict(),
                "iteration": self._iteration,
                "log": self.log,
                "epoch": self._epoch.state(),
                "best": self.best.state(),
            },
        )

    def _resume(self) -> None:
        """Take up the saved state; all processes take that which the first one finds."""
        state = self._processes.share(self._saved() if self._processes.first else None)
        if state is None:
            return
        self._network.load_state_dict(state["network"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._iteration, self.log = state["iteration"], state["log"]
        self._epoch = Epoch(self._device, **state["epoch"])
        self.best = Best(**state["best"])
        logger.info("going on from iteration %d of a stopped run", self._iteration)

    def _saved(self) -> dict | None:
        if not self._state_file.exists():
            return None
        try:
            return read_state(self._state_file)
        except UserError as error:
            logger.warning("%s: starting anew", error)
            return None
