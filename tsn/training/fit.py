"""The training loop: `fit` from the first to the last iteration, `training_step` for one of them.

The result depends on the batch and the micro-batch, and not on how many processes share them, nor
on how often the training was killed and resumed.
"""

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Subset

from tsn.config.schema import TrainingConfig
from tsn.data.batches import MicroBatches
from tsn.data.dataset import CentreSnippets, TrainingSnippets
from tsn.data.loader import make_loader
from tsn.models.network import TSN
from tsn.runtime.progress import Meter
from tsn.training.device import autocast, passes_that_fit
from tsn.training.distributed import ProcessGroup, RunningStatistics
from tsn.training.job import TrainingJob
from tsn.training.log import EpochMetrics, Recorder, write_log
from tsn.training.loss import count, summed_loss
from tsn.training.shared_pass import SharedPass
from tsn.training.state import State
from tsn.training.validation import overfitting

SAVE_SECONDS = 60.0
"""Seconds between two saved states: the work that a kill may cost."""

CHECK_FINITE_EVERY = 50
"""Check for a NaN loss every so many iterations; each check synchronises with the GPU."""

logger = logging.getLogger("tsn")


@dataclass(frozen=True)
class Setup:
    """What stays the same during a training; `class_weights` are float32 (C,), on the device."""

    job: TrainingJob
    train_set: TrainingSnippets
    validation_set: CentreSnippets
    device: torch.device
    threads: int
    group: ProcessGroup
    class_weights: torch.Tensor | None = None


def fit(
    setup: Setup, state: State, state_file: Path, log_file: Path, save_seconds: float = SAVE_SECONDS
) -> None:
    """Train to the end of the schedule, from the saved state if there is one.

    Args:
        setup: the job, its data, where and with whom it is trained.
        state: a new one; trained in place.
        state_file: where the state is saved. It holds the finished training when this returns.
        log_file: the CSV, written after every epoch.
        save_seconds: how often the state is saved.

    Raises:
        UserError: if the loss is not finite.
    """
    recipe, group, modality = setup.job.recipe, setup.group, setup.job.modality
    state.resume(state_file, group)
    per_epoch = math.ceil(len(setup.train_set) / recipe.batch_size)
    total = num_iterations(recipe, per_epoch)
    batches = MicroBatches(
        len(setup.train_set),
        recipe.batch_size,
        recipe.micro_batch,
        setup.job.seed,
        range(state.iteration, total),
        group.rank,
        group.world_size,
        [*setup.train_set.by_class().values()] if recipe.sampling == "balanced" else None,
    )
    _warn_of_idle_processes(batches, setup)
    loader = make_loader(setup.train_set, setup.device, setup.threads, batch_sampler=batches)
    train_loader, held_out = iter(loader), validation_loader(setup)

    state.network.train()
    statistics = RunningStatistics(state.network, group)
    shared = SharedPass(state.network, statistics)
    model = _wrap(state.network, setup)
    recorder = None
    if group.is_main:
        recorder = Recorder(log_file, log_file.with_name("tensorboard"), state.iteration)
    meter = Meter(total, "iterations", f"train {modality} split {setup.job.split}", state.iteration)
    first, last_save = state.iteration, time.monotonic()
    # The last batch of an epoch may be small: it does not show what memory a pass takes.
    whole_batch = first if batches.batch_size(first) == batches.batch_size(0) else first + 1
    while state.iteration < total:
        lr = learning_rate(recipe, state.iteration, per_epoch)
        for parameters in state.optimiser.param_groups:
            parameters["lr"] = lr * parameters["lr_multiplier"]
        training_step(setup, state, model, train_loader, batches, statistics, shared)
        if state.iteration == whole_batch and not recipe.compile:  # which is for passes of one size
            shared.at_once = passes_that_fit(setup.device)
        state.iteration += 1

        finished = state.iteration == total
        epoch_ends = finished or state.iteration % per_epoch == 0
        save = finished or time.monotonic() - last_save > save_seconds
        if epoch_ends or save or state.iteration % CHECK_FINITE_EVERY == 0:
            state.epoch.check_finite(modality, state.iteration)
        if epoch_ends:
            _end_epoch(setup, state, (state.iteration - 1) // per_epoch, lr, held_out)
        # Saved before anything is written that may fail: an error then costs no training.
        if save and group.is_main:
            state.save(state_file)
            last_save = time.monotonic()
        if epoch_ends and recorder:
            recorder.write(state.log)
        meter.advance(note=f", loss {state.log[-1]['loss']:.3f}" if state.log else "")
    meter.finish()
    if recorder:
        recorder.close()
        write_log(log_file, state.log)  # once more for a training that was killed before


def training_step(
    setup: Setup,
    state: State,
    model: nn.Module,
    loader: Iterator,
    batches: MicroBatches,
    statistics: RunningStatistics,
    shared: SharedPass,
) -> None:
    """One optimiser step: the gradients of the micro-batches add up to that of the batch.

    Args:
        setup: see `Setup`.
        state: its network and optimiser are changed, its epoch counts the step.
        model: the network, or its DistributedDataParallel wrapper.
        loader: yields this process's micro-batches, (clips (N, K, C, H, W), labels (N,)
            or (N, C)).
        batches: says which micro-batches those are.
        statistics: keeps the running statistics of batch normalisation.
        shared: how many micro-batches pass the network together, where a GPU has the memory.
    """
    recipe, group, device = setup.job.recipe, setup.group, setup.device
    state.optimiser.zero_grad(set_to_none=True)
    statistics.begin_step()
    counts = torch.zeros(3, dtype=torch.float64, device=device)
    batch_size = batches.batch_size(state.iteration)
    # A rank without a micro-batch gets a dummy batch with zero loss weight.
    local: list[int | None] = [*batches.local_micro_batches(state.iteration)] or [None]
    for start in range(0, len(local), shared.at_once):
        numbers = local[start : start + shared.at_once]
        clips, labels, videos = _next_batches(loader, len(numbers), state.epoch, device)
        is_last = start + len(numbers) == len(local)
        with nullcontext() if is_last else _no_sync(model):
            images = [n * clips.shape[1] for n in videos]
            seeds = setup.job.seed, state.iteration, [number or 0 for number in numbers]
            with autocast(device, recipe.precision), shared.of(images, *seeds):
                scores = model(clips)
            loss = summed_loss(scores, labels, setup.class_weights, recipe.label_smoothing)
            # DDP averages gradients over the ranks.
            weight = 0.0 if None in numbers else group.world_size / batch_size
            state.scaler.scale(loss * weight).backward()
        if None not in numbers:
            counts += count(loss, scores, labels)
    statistics.end_step(batches.num_micro_batches(state.iteration))
    state.epoch.add(group.all_reduce(counts))
    state.scaler.unscale_(state.optimiser)
    max_norm = recipe.clip_gradient or float("inf")
    norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), max_norm)
    state.epoch.gradient_norm = norm
    state.scaler.step(state.optimiser)
    state.scaler.update()


@torch.inference_mode()
def validate(
    network: nn.Module,
    loader: DataLoader,
    device: torch.device,
    precision: str,
    group: ProcessGroup,
) -> dict[str, float]:
    """Loss and accuracy over the held-out videos, divided among the ranks.

    The network is in training mode before and after.
    """
    network.eval()
    counts = torch.zeros(3, dtype=torch.float64, device=device)
    for clips, labels in loader:
        clips, labels = clips.to(device), labels.to(device)
        with autocast(device, precision):
            scores = network(clips)
        counts += count(summed_loss(scores, labels), scores, labels)
    network.train()
    loss, correct, videos = group.all_reduce(counts).tolist()
    return {"validation_loss": loss / videos, "validation_accuracy": correct / videos}


def num_iterations(recipe: TrainingConfig, per_epoch: int) -> int:
    """Optimiser steps of the whole training, of which an epoch has `per_epoch`."""
    return recipe.iterations or (recipe.epochs or 0) * per_epoch


def learning_rate(recipe: TrainingConfig, iteration: int, per_epoch: int) -> float:
    """The learning rate of an iteration, counted from 0: divided by 10 at each milestone.

    A milestone of 30 epochs means that epochs 0 to 29 have the full rate (tsn-pytorch, Caffe's
    multistep policy).
    """
    position = iteration if recipe.iterations else iteration // per_epoch
    return recipe.lr * 0.1 ** sum(position >= milestone for milestone in recipe.lr_milestones)


def _end_epoch(
    setup: Setup, state: State, number: int, lr: float, held_out: DataLoader | None
) -> None:
    """Validate and add a row to the log."""
    row = {"epoch": number, "iteration": state.iteration, "lr": lr, **state.epoch.row()}
    state.epoch = EpochMetrics()
    if held_out is not None:
        precision = setup.job.recipe.precision
        row |= validate(state.network, held_out, setup.device, precision, setup.group)
        lowest = min([*state.log, row], key=lambda row: row["validation_loss"])
        row["epochs_since_best"] = number - lowest["epoch"]
        state.best.update(row, state.network)
    state.log.append(row)
    if held_out is not None and (warning := overfitting(state.log)):
        logger.warning("%s: %s", setup.job.modality, warning)


def _next_batches(
    loader: Iterator, count: int, epoch: EpochMetrics, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """The next micro-batches as one, and how many videos each of them has."""
    start = time.monotonic()
    batches = [next(loader) for _ in range(count)]
    epoch.waiting += time.monotonic() - start
    clips, labels = (
        torch.cat([part.to(device, non_blocking=True) for part in parts])
        for parts in zip(*batches, strict=True)
    )
    return clips, labels, [len(labels) for _, labels in batches]


def validation_loader(setup: Setup) -> DataLoader | None:
    """This rank's part of the held-out videos; None without validation."""
    if not len(setup.validation_set):
        return None
    local = range(setup.group.rank, len(setup.validation_set), setup.group.world_size)
    subset = Subset(setup.validation_set, local)
    batch_size = setup.job.recipe.micro_batch
    return make_loader(subset, setup.device, setup.threads, batch_size=batch_size)


def _wrap(network: TSN, setup: Setup) -> nn.Module:
    """The network, with `torch.compile` and DistributedDataParallel where configured."""
    if setup.job.recipe.compile:
        # Tells the compiler what `prepare` has told the rest of PyTorch.
        torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())
        network.compile()
    if setup.group.world_size == 1:
        return network
    gpu = [setup.device.index] if setup.device.type == "cuda" else None
    with warnings.catch_warnings():
        # Buffers are the business of RunningStatistics. The newest PyTorch has another name for
        # this argument, which the oldest that we run on does not know.
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(
            network, device_ids=gpu, broadcast_buffers=False, gradient_as_bucket_view=True
        )


def _no_sync(model: nn.Module) -> AbstractContextManager[None]:
    """All-reduce gradients only with the last micro-batch of a step."""
    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


def _warn_of_idle_processes(batches: MicroBatches, setup: Setup) -> None:
    recipe, world_size = setup.job.recipe, setup.group.world_size
    micro_batches = batches.num_micro_batches(0)
    if micro_batches % world_size and setup.group.is_main:
        logger.warning(
            "training.micro_batch: %d micro-batches of %d keep %d processes unequally busy; "
            "a divisor of %d does not",
            micro_batches,
            recipe.micro_batch,
            world_size,
            max(recipe.batch_size // world_size, 1),
        )
