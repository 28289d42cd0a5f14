"""Checks across keys (contradictions) and against the disk.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import difflib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tsn.config.datasets import DATASETS, DatasetConfig
from tsn.config.fields import build, keys_of
from tsn.config.schema import ModelConfig, TrainingConfig
from tsn.models.download import expected_digits, is_address
from tsn.models.names import check_name
from tsn.models.published import NAMES, find
from tsn.runtime.errors import UserError

if TYPE_CHECKING:
    from tsn.config.experiments import Settings


def check_networks(settings: "Settings") -> None:
    """Check the networks of an experiment that is run, which need not hold for one that is not.

    Raises:
        UserError: see `check_model`, or for a linear probe of a network that is not pretrained.
    """
    for modality, model in settings.models.items():
        check_model(model)
        if settings.training(modality).method == "linear_probe" and model.weights == "none":
            raise UserError(
                "training.method: linear_probe fits the classifier of a pretrained network, and "
                f"model.weights of {modality} is none, or cross_modality false"
            )


def check_model(model: ModelConfig) -> None:
    """Check what can be known of a network before hours of flow are computed.

    Raises:
        UserError: if there is no such backbone, it has no weights of its own, the file of weights
            is absent, or an address comes without a checksum.
    """
    try:
        check_name(model.backbone)
    except UserError as error:
        raise UserError(f"model.backbone: {error}") from None
    if model.weights in NAMES:
        if model.sha256:
            raise UserError(f"model.sha256: it checks a file, and model.weights is {model.weights}")
        try:
            find(model.weights, model.backbone, "rgb")
        except UserError as error:
            raise UserError(f"model.weights: {error}") from None
    elif is_address(model.weights):
        expected_digits(model.weights, model.sha256)
    else:
        _check_file(model.weights)


def _check_file(weights: str) -> None:
    try:
        found = Path(os.path.expanduser(weights)).is_file()  # noqa: PTH111
    except OSError as error:
        raise UserError(f"model.weights: {weights!r} cannot be read: {error.strerror}") from None
    if not found:
        raise UserError(f"model.weights: there is no file {weights!r}; correct the path")


def checked_dataset(name: str, keys: dict) -> DatasetConfig:
    """A data set from its keys under `datasets`.

    Raises:
        UserError: if a key is missing, means nothing to its layout, or is malformed.
    """
    where = f"datasets.{name}"
    layout = keys.get("layout")
    if layout not in DATASETS:
        wrong = f"{layout!r} is not one of {', '.join(DATASETS)}" if layout else "is missing"
        raise UserError(f"{where}.layout: {wrong}")
    kind = DATASETS[layout]
    known = keys_of(kind).keys() - {"name", "folds"} | {"override"}
    if unknown := [key for key in keys if key not in known]:
        raise UserError(
            f"{where}.{unknown[0]}: this key means nothing to the layout {layout!r}; remove it, "
            "or, where config.yaml has it, give the data set another name"
        )
    keys = {**keys, "name": name}
    keys.pop("override", None)
    if isinstance(splits := keys.get("splits"), dict):
        if "folds" not in keys_of(kind):
            raise UserError(
                f"{where}.splits: {layout} has its own splits, not folds; name their numbers"
            )
        if "folds" not in splits:
            raise UserError(f"{where}.splits.folds: this key is missing")
        folds = splits["folds"]
        keys |= {"folds": folds, "splits": list(range(1, folds + 1))}
    dataset: DatasetConfig = build(kind, keys, where)
    return dataset


def check_classes(recipe: TrainingConfig, classes: Sequence[str], multi_label: bool) -> None:
    """Check that `loss`, `class_weights` and `flip` fit the classes.

    Raises:
        UserError: videos have several and the loss is not for that, a name is not among `classes`,
            or mirroring is to exchange one twice.
    """
    if multi_label and recipe.loss == "cross_entropy":
        raise UserError(
            "training.loss: cross_entropy is for one class a video, and there are videos with "
            "several; set bce or auto"
        )
    weights = recipe.class_weights if isinstance(recipe.class_weights, dict) else {}
    swapped = [name for pair in recipe.swap.items() for name in pair]
    for key, names in (("class_weights", [*weights]), ("flip.swap", swapped)):
        if unknown := [name for name in names if name not in classes]:
            near = difflib.get_close_matches(unknown[0], classes, 3) or classes[:5]
            raise UserError(
                f"training.{key}: there is no class {unknown[0]!r}; did you mean {', '.join(near)}?"
            )
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"training.{key}: {twice[0]!r} is there twice; name each pair once")


def place(dataset: str, experiment: str) -> str:
    """Where a sentence about keys of several layers places them."""
    return f"(datasets.{dataset}, experiment {experiment})"


def check_settings(settings: "Settings", fused: list["Settings"]) -> None:
    """Check keys that have to fit each other: crops and frames, milestones and length, fusion.

    Args:
        settings: of a data set under an experiment.
        fused: of the experiments that are fused, usually `settings` itself.

    Raises:
        UserError: naming the first that does not.
    """
    where = place(settings.dataset.name, settings.experiment)
    folders = getattr(settings.dataset, "frame_folders", None)
    if "warped_flow" in settings.modalities and folders and folders.names.flow_stride > 1:
        raise UserError(
            "modalities: warped_flow needs flow of every frame, and frame_folders.flow_stride is "
            f"{folders.names.flow_stride}; leave it out, or set compute_flow {where}"
        )
    frames = settings.frames
    if (frames.size is None) == (frames.short_side is None):
        raise UserError(f"frames: set size or short_side, one of the two {where}")
    short_side = frames.short_side or min(frames.size or ())
    if settings.test.crop_size > short_side:
        key = "size" if frames.size else "short_side"
        size = "{}x{}".format(*frames.size) if frames.size else short_side
        raise UserError(
            f"test.crop_size: a crop of {settings.test.crop_size} px is larger than the frame of "
            f"{size} px in frames.{key} {where}"
        )
    for modality, recipe in settings.trainings.items():
        counts = {"epochs": recipe.epochs, "iterations": recipe.iterations}
        lengths = {key: count for key, count in counts.items() if count is not None}
        if len(lengths) != 1:
            wrong = "training.iterations is set as well" if lengths else "this key is missing"
            hint = "remove one of them" if lengths else "set it, or iterations, or training.preset"
            raise UserError(f"training.epochs: {wrong} for {modality}; {hint} {where}")
        ((key, length),) = lengths.items()
        if any(milestone >= length for milestone in recipe.lr_milestones):
            raise UserError(
                f"training.lr_milestones: {list(recipe.lr_milestones)} of {modality} must lie "
                f"below training.{key}, which is {length} {where}"
            )
    weights = settings.fusion.weights
    combinations = {f"compare.{name}": w for name, w in settings.fusion.compare.items()}
    if isinstance(weights, dict):
        combinations["weights"] = weights
    for name, combination in combinations.items():
        for modality in combination:
            if modality not in settings.modalities:
                raise UserError(
                    f"fusion.{name}.{modality}: this modality is not trained; add it to modalities "
                    f"({', '.join(settings.modalities)}) or remove its weight {where}"
                )
        if not any(combination.values()):
            raise UserError(f"fusion.{name}: at least one weight must be above zero {where}")
    _check_fused(settings, fused, where)


def _check_fused(settings: "Settings", fused: list["Settings"], where: str) -> None:
    """Check that the experiments that are fused have what the fusion needs."""
    needs_held_out = {
        "weights: search chooses them": settings.fusion.weights == "search",
        "calibrate: the temperature is fitted": settings.fusion.calibrate,
    }
    held_out = next((what for what, needed in needs_held_out.items() if needed), None)
    for other in fused:
        name = other.experiment
        for modality in settings.modalities:
            if modality not in other.modalities:
                raise UserError(
                    f"fusion.experiments: {name} does not train {modality}; leave one of them out "
                    f"{where}"
                )
            if held_out and not other.training(modality).validation:
                raise UserError(
                    f"fusion.{held_out} on training videos that are held out, never on test "
                    f"videos, and training.validation of {name} holds none out for {modality}; "
                    f"set it to 0.2, say {where}"
                )
        if replace(other.test, engine="auto") != replace(settings.test, engine="auto"):
            raise UserError(
                f"fusion.experiments: {name} has another `test`; give both the same {where}"
            )
