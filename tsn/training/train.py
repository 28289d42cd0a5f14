"""Training one modality on one split: index and shards -> model file.

`train` sets everything up, runs `tsn.training.fit.fit` or the linear probe, and saves the models.
"""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tsn.config.checks import check_classes
from tsn.config.schema import ModelConfig, TrainingConfig
from tsn.data.dataset import CentreSnippets, TrainingSnippets
from tsn.data.transforms import mirrored_labels
from tsn.datasets.index import class_names, members, multi_label, read_index
from tsn.datasets.records import Video
from tsn.models.fold import fold_batch_norm
from tsn.models.network import TSN
from tsn.models.parameter_groups import parameter_groups
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.runtime.job import code_version
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo, save_model
from tsn.training.device import gradient_scaler, prepare
from tsn.training.distributed import ProcessGroup, join_process_group
from tsn.training.fit import SAVE_SECONDS, Setup, fit
from tsn.training.job import Task, TrainingJob
from tsn.training.loss import class_weights
from tsn.training.probe import fit_probe
from tsn.training.state import State
from tsn.training.validation import hold_out

logger = logging.getLogger("tsn")


def train(task: Task, save_seconds: float = SAVE_SECONDS) -> None:
    """Train, and write the model file and the log (CSV: one row per epoch).

    Started by torchrun, the work is divided among the ranks. Killed and restarted, the training
    resumes from the last saved state; the result is the same, bit for bit on a CPU. The state lies
    beside the model file and is removed at the end.

    With validation, the best and the last model are both kept: `recipe.keep` says which one is the
    model file; the other is `best.pt` or `last.pt` beside it.

    Args:
        task: the job, its files, the CPU threads of each process.
        save_seconds: how often the state is saved.

    Raises:
        UserError: if there is nothing to train on, the loss is not finite, or memory is full.
    """
    with join_process_group() as group:
        if not group.is_main:
            logger.setLevel(logging.ERROR)
        _train(task, group, save_seconds)


@oom_as_user_error("lower training.micro_batch")
def _train(task: Task, group: ProcessGroup, save_seconds: float) -> None:
    job, files = task.job, task.files
    device = prepare(task.threads, group.local_rank)
    videos = read_index(Path(files.index))
    classes = tuple(class_names(videos))
    shards = ShardSet(files.shards)
    check_classes(job.recipe, classes, multi_label(videos))
    bce = job.recipe.loss == "bce" or multi_label(videos)
    train_set, validation_set = build_datasets(
        job,
        members(videos, job.split, "train"),
        shards,
        mirrored_labels(job.recipe.swap, classes),
        len(classes) if bce else 0,
    )
    by_class = train_set.by_class()
    counts = np.array([len(by_class.get(label, ())) for label in range(len(classes))])
    weights = class_weights(job.recipe, classes, counts)
    torch.manual_seed(job.seed)
    network = new_network(len(classes), job.modality, job.model, job.recipe)
    network = network.to(device).to(memory_format=torch.channels_last)
    groups = parameter_groups(network, job.modality, job.recipe.lr, job.recipe.weight_decay)
    optimiser = torch.optim.SGD(groups, momentum=job.recipe.momentum)
    state = State(network, optimiser, gradient_scaler(device, job.recipe.precision))
    state_file = Path(files.model).with_name(
        f".training-{_identity(job, classes, shards, train_set, validation_set)}.pt"
    )
    weights = None if weights is None else weights.to(device)
    setup = Setup(job, train_set, validation_set, device, task.threads, group, weights)
    if job.recipe.method == "sgd":
        fit(setup, state, state_file, Path(files.log), save_seconds)
    elif group.is_main:
        snippets = CentreSnippets(
            shards,
            train_set.videos,
            job.modality,
            job.recipe.segments,
            job.model.input_size,
            len(classes) if bce else 0,
            job.model.snippet_length,
        )
        fit_probe(setup, state, snippets, Path(files.log))
    if group.is_main:
        loss = "bce" if bce else "cross_entropy"
        save_models(job, state, Path(files.model), classes, shards.fingerprint, loss)


def build_datasets(
    job: TrainingJob,
    videos: list[Video],
    shards: ShardSet,
    mirrored: list[int] | None = None,
    multi_hot: int = 0,
) -> tuple[TrainingSnippets, CentreSnippets]:
    """The training videos of a split as data sets for training and for validation.

    Args:
        job: the recipe.
        videos: of the split.
        shards: of the modality's stream.
        mirrored: see `mirrored_labels`.
        multi_hot: see `TrainingSnippets`.

    Raises:
        UserError: if either is empty where it must not be.
    """
    recipe, size, length = job.recipe, job.model.input_size, job.model.snippet_length
    trained, held_out = hold_out(videos, recipe.validation, job.seed)
    train_set = TrainingSnippets(
        shards, trained, job.modality, recipe, size, job.seed, mirrored, multi_hot, length
    )
    if not len(train_set):
        raise UserError(
            f"split {job.split}: every train video is quarantined in the {shards.stream} shards"
        )
    validation_set = CentreSnippets(
        shards, held_out, job.modality, recipe.segments, size, multi_hot, length
    )
    if recipe.validation and not len(validation_set):
        raise UserError(
            f"training.validation: a fraction of {recipe.validation} of {len(videos)} training "
            "videos leaves none to validate on; raise it, or set 0"
        )
    if recipe.validation:
        logger.info("training on %d videos, validating on %d", len(train_set), len(validation_set))
    return train_set, validation_set


def new_network(classes: int, modality: str, model: ModelConfig, recipe: TrainingConfig) -> TSN:
    """The untrained network of a configuration.

    Partial BN freezes pretrained statistics; a network that starts from scratch has none, and
    trains all its batch normalisation.

    Raises:
        UserError: if the backbone cannot take images of `model.input_size`, and see `TSN`.
    """
    from_scratch = model.weights == "none" or (modality != "rgb" and not model.cross_modality)
    network = TSN(
        classes,
        modality,
        model.backbone,
        model.weights,
        recipe.segments,
        sha256=model.sha256,
        consensus=model.consensus,
        dropout=recipe.dropout,
        partial_bn=recipe.partial_bn and not from_scratch,
        cross_modality=model.cross_modality,
        snippet_length=model.snippet_length,
    )
    _check_input_size(network, model)
    fold_batch_norm(network.net, network.channels, model.input_size)
    return network


def _check_input_size(network: TSN, model: ModelConfig) -> None:
    """Some backbones need images of one size, or of a minimum size, and only say so when run."""
    side = model.input_size
    try:
        with torch.inference_mode():
            network.eval().snippet_scores(torch.zeros(1, network.channels, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"model.input_size: {model.backbone} cannot take images of {side} px ({reason}); "
            "choose another size, such as 224"
        ) from None


def _identity(
    job: TrainingJob,
    classes: tuple[str, ...],
    shards: ShardSet,
    train_set: TrainingSnippets,
    validation_set: CentreSnippets,
) -> str:
    """A digest of all that determines the result: only the same training resumes from its state."""
    weights = Path(job.model.weights).expanduser()
    checksum = sha256_of(weights) if weights.is_file() else None
    trained, held_out = (
        [(video.id, *video.labels) for video in data.videos] for data in (train_set, validation_set)
    )
    identity = [asdict(job), checksum, shards.fingerprint, classes, trained, held_out]
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def save_models(
    job: TrainingJob,
    state: State,
    model_file: Path,
    classes: tuple[str, ...],
    fingerprint: dict[str, object],
    loss: str,
) -> None:
    """Write the model file and, with validation, the other of best and last; remove the state."""
    info = ModelInfo(
        dataset=job.dataset,
        experiment=job.experiment,
        split=job.split,
        modality=job.modality,
        classes=classes,
        backbone=job.model.backbone,
        consensus=job.model.consensus,
        segments=job.recipe.segments,
        input_size=job.model.input_size,
        seed=job.seed,
        shards=fingerprint,
        code_version=code_version(),
        snippet_length=job.model.snippet_length,
        swap=job.recipe.swap,
        loss=loss,
    )
    network, folder = state.network.cpu(), model_file.parent
    for other in (folder / "best.pt", folder / "last.pt"):
        other.unlink(missing_ok=True)
    if state.best.network is None:
        save_model(model_file, network, info)
    else:
        best, last = folder / "best.pt", model_file
        if job.recipe.keep == "best":
            best, last = model_file, folder / "last.pt"
        save_model(last, network, info)
        network.load_state_dict(state.best.network)
        save_model(best, network, info)
    for saved_state in folder.glob(".training-*.pt"):
        saved_state.unlink(missing_ok=True)
