"""Training one modality on one split, from its index and shards to a model file."""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import torch

from tsn.data.dataset import CentreSnippets, TrainingSnippets
from tsn.datasets.index import class_names, members, read_index
from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.runtime.job import code_version
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo, new_network, save_model
from tsn.training.device import prepare
from tsn.training.log import draw_curves
from tsn.training.loop import SAVE_SECONDS, Run
from tsn.training.processes import Processes, join_processes
from tsn.training.task import Task, TrainingJob
from tsn.training.validation import hold_out

logger = logging.getLogger("tsn")


def train(task: Task, save_seconds: float = SAVE_SECONDS) -> None:
    """Train, and write the model file, the log (CSV: one row per epoch) and the curves.

    Started by torchrun, the processes share the work. Killed and started again, it goes on from the
    last saved state; the result is the same, bit for bit on a CPU. The state lies beside the model
    file and is removed at the end.

    With validation, the best and the last model are both kept: `recipe.keep` says which one is the
    model file; the other is `best.pt` or `last.pt` beside it.

    Args:
        task: the job, its files, the CPU threads of each process.
        save_seconds: how often the state is saved.

    Raises:
        UserError: if there is nothing to train on, the loss is not finite, or memory is full.
    """
    with join_processes() as processes:
        if not processes.first:
            logger.setLevel(logging.ERROR)
        _train(task, processes, save_seconds)


@oom_as_user_error("lower training.micro_batch")
def _train(task: Task, processes: Processes, save_seconds: float) -> None:
    job, files = task.job, task.files
    device = prepare(task.threads, processes.local)
    videos = read_index(files.index)
    store = ShardSet(files.shards)
    snippets, held_out = _data(job, members(videos, job.split, "train"), store)
    classes = tuple(class_names(videos))
    torch.manual_seed(job.seed)
    network = new_network(len(classes), job.modality, job.model, job.recipe)
    network = network.to(device, memory_format=torch.channels_last)
    identity = [asdict(job), store.fingerprint, [video.id for video in snippets.videos]]
    run = Run(
        job,
        network,
        snippets,
        held_out,
        device,
        task.threads,
        processes,
        _state_file(files.model, identity),
        save_seconds,
    )
    run.go(Path(files.log))
    if processes.first:
        title = f"{job.dataset}, {job.experiment}, split {job.split}: {job.modality}"
        draw_curves(files.curves, run.log, title, job.modality)
        _save_models(job, network.cpu(), run, files.model, classes, store.fingerprint)


def _data(
    job: TrainingJob, videos: list[Video], store: ShardSet
) -> tuple[TrainingSnippets, CentreSnippets]:
    recipe, size = job.recipe, job.model.input_size
    trained, held = hold_out(videos, recipe.validation, job.seed)
    snippets = TrainingSnippets(store, trained, job.modality, recipe, size, job.seed)
    if not len(snippets):
        raise UserError(
            f"split {job.split}: every train video is quarantined in the {store.stream} shards"
        )
    held_out = CentreSnippets(store, held, job.modality, recipe.segments, size)
    if recipe.validation and not len(held_out):
        raise UserError(
            f"training.validation: a share of {recipe.validation} of {len(videos)} training videos "
            "leaves none to validate on; raise it, or set 0"
        )
    if recipe.validation:
        logger.info("training on %d videos, validating on %d", len(snippets), len(held_out))
    return snippets, held_out


def _save_models(job, network, run: Run, model_file: str, classes, shards: dict) -> None:
    info = ModelInfo(
        job.dataset,
        job.experiment,
        job.split,
        job.modality,
        classes,
        job.model.backbone,
        job.model.consensus,
        job.recipe.segments,
        job.model.input_size,
        job.seed,
        shards,
        code_version(),
    )
    folder = Path(model_file).parent
    for leftover in (folder / "best.pt", folder / "last.pt"):
        leftover.unlink(missing_ok=True)
    if run.best.network is not None:
        best, last = folder / "best.pt", Path(model_file)
        if job.recipe.keep == "best":
            best, last = Path(model_file), folder / "last.pt"
        save_model(last, network, info)
        network.load_state_dict(run.best.network)
        save_model(best, network, info)
    else:
        save_model(model_file, network, info)
    for finished in folder.glob(".training-*.pt"):
        finished.unlink(missing_ok=True)


def _state_file(model_file: str, identity: list) -> Path:
    """A name that belongs to exactly this training, so that a changed one never resumes from it."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return Path(model_file).with_name(f".training-{digest}.pt")
