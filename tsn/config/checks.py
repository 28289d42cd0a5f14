"""What the schema cannot see: keys that contradict each other or what is on disk.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from tsn.config.layers import of_modality
from tsn.config.schema import BLOCKS, DatasetConfig, FlowConfig, build
from tsn.models.download import expected_digits, is_address
from tsn.models.names import check_name
from tsn.runtime.errors import UserError

if TYPE_CHECKING:
    from tsn.config.settings import Settings

_SPLITTING = {"parts", "test_ratio", "group_pattern", "split_seed"}
LAYOUT_KEYS = {
    "ucf101": {"videos", "lists", "classes", "check_counts"},
    "hmdb51": {"videos", "lists", "classes", "check_counts"},
    "folder": {"videos", "classes", "nested"} | _SPLITTING,
    "list": {"videos", "annotations", "class_list", "columns", "classes"} | _SPLITTING,
    "demo": {"train_per_class", "test_per_class", "render_seed"},
}
COMMON_DATASET_KEYS = {"layout", "splits", "shards", "override"}


def check_model(model: dict) -> None:
    """Check what can be known of a model block before hours of flow are computed.

    Raises:
        UserError: if there is no such backbone, it has no weights of its own, the file of weights
            is absent, or an address comes without a checksum.
    """
    for modality in model.get("per_modality", {}):
        check_model(of_modality(model, modality))
    weights, backbone = model["weights"], model["backbone"]
    try:
        check_name(backbone)
    except UserError as error:
        raise UserError(f"model.backbone: {error}") from None
    if weights in ("imagenet", "none"):
        if model["sha256"]:
            raise UserError(f"model.sha256: it checks a file, and model.weights is {weights!r}")
        if weights == "imagenet" and backbone in ("bn_inception", "clarifai"):
            raise UserError(
                f"model.weights: {backbone} comes with no weights; give the path or the address "
                "of a converted Caffe file (docs/models.md), or none"
            )
    elif is_address(weights):
        expected_digits(weights, model["sha256"])
    elif not Path(weights).expanduser().is_file():
        raise UserError(f"model.weights: there is no file {weights!r}; correct the path")


def checked_dataset(name: str, block: dict) -> DatasetConfig:
    """A data set of the configuration, with `~` in its folders replaced.

    Raises:
        UserError: if a key is missing, means nothing to its layout, or is malformed.
    """
    where = f"datasets.{name}"
    layout = block["layout"]
    for key in block:
        if key not in LAYOUT_KEYS[layout] | COMMON_DATASET_KEYS:
            raise UserError(
                f"{where}.{key}: this key means nothing to the layout {layout!r}; remove it"
            )
    needed = {"ucf101": ("videos", "lists"), "hmdb51": ("videos", "lists"), "folder": ("videos",)}
    needed["list"] = ("videos", "annotations")
    for key in needed.get(layout, ()):
        if key not in block:
            raise UserError(f"{where}.{key}: missing; the layout {layout!r} needs this folder")
    known = {"ucf101": {1, 2, 3}, "hmdb51": {1, 2, 3}, "demo": {1}}.get(layout)
    if isinstance(block.get("splits"), dict) and layout not in ("folder", "list"):
        raise UserError(
            f"{where}.splits: {layout} has its own splits, not folds; name their numbers"
        )
    for split in block.get("splits", ()):
        if known and split not in known:
            raise UserError(f"{where}.splits: {layout} has no split {split}; it has {known}")
    if block.get("group_pattern"):
        try:
            re.compile(block["group_pattern"])
        except re.error as error:
            raise UserError(f"{where}.group_pattern: not a regular expression: {error}") from None
    home = {k: str(Path(block[k]).expanduser()) for k in ("videos", "lists") if k in block}
    splits = block.get("splits", [1])
    if isinstance(splits, dict):
        home |= {"folds": splits["folds"], "splits": list(range(1, splits["folds"] + 1))}
    return build(DatasetConfig, {**block, **home, "name": name})


def check_complete(settings: "Settings", where: str) -> None:
    """Check that every block has all of its keys once the layers lie over each other.

    Raises:
        UserError: naming the first that is missing.
    """
    for name, kind in BLOCKS.items():
        for key in (f.name for f in fields(kind)):
            found = [settings.training(m) for m in settings.modalities]
            found = found if name == "training" else [settings.blocks[name]]
            either = ("epochs", "iterations") if key in ("epochs", "iterations") else (key,)
            if key != "params" and not all(any(k in block for k in either) for block in found):
                hint = "; set it, or training.preset" if name == "training" else ""
                raise UserError(f"{name}.{key}: this key is missing{hint} ({where})")


def check_blocks(settings: "Settings", where: str) -> None:
    """Check keys that have to fit each other: crops and frames, steps and length, fusion weights.

    Raises:
        UserError: naming the first that does not.
    """
    blocks, modalities = settings.blocks, settings.modalities
    try:
        FlowConfig.from_dict(blocks["flow"])
    except UserError as error:
        raise UserError(f"flow: {error} ({where})") from None
    width, height = blocks["frames"]["size"]
    if blocks["test"]["crop_size"] > min(width, height):
        raise UserError(
            f"test.crop_size: a crop of {blocks['test']['crop_size']} px is larger than the frame "
            f"of {width}x{height} px in frames.size ({where})"
        )
    for modality in modalities:
        recipe = settings.training(modality)
        if "epochs" in recipe and "iterations" in recipe:
            raise UserError(
                f"training.epochs: training.iterations is set as well for {modality}; remove one "
                f"of them ({where})"
            )
        length = "iterations" if "iterations" in recipe else "epochs"
        if any(milestone >= recipe[length] for milestone in recipe["lr_milestones"]):
            raise UserError(
                f"training.lr_milestones: {recipe['lr_milestones']} of {modality} must lie below "
                f"training.{length}, which is {recipe[length]} ({where})"
            )
    combinations = {f"compare.{name}": w for name, w in blocks["fusion"]["compare"].items()}
    if blocks["fusion"]["weights"] == "search":
        for modality in modalities:
            if not settings.training(modality)["validation"]:
                raise UserError(
                    "fusion.weights: search chooses them on training videos that are held out, "
                    f"never on test videos, and training.validation holds none out for {modality}; "
                    f"set it to 0.2, say ({where})"
                )
    elif blocks["fusion"]["weights"] != "paper":
        combinations["weights"] = blocks["fusion"]["weights"]
    for name, weights in combinations.items():
        for modality in weights:
            if modality not in modalities:
                raise UserError(
                    f"fusion.{name}.{modality}: this modality is not trained; add it to modalities "
                    f"({', '.join(modalities)}) or remove its weight ({where})"
                )
        if not any(weights.values()):
            raise UserError(f"fusion.{name}: at least one weight must be above zero ({where})")
