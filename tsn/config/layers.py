"""Layers of the configuration merged: presets, files, data sets, experiments, modalities."""

import copy

from tsn.config.presets import preset

_INSTEAD_OF = {
    "epochs": "iterations",
    "iterations": "epochs",
    "size": "short_side",
    "short_side": "size",
}
"""The length of a training and the size of frames are given in one of two ways: setting one unsets
the other."""

_REPLACED = ("weights", "compare", "class_weights", "flip")


def with_preset(layer: dict, layout: str) -> dict:
    """The layer with `training.preset` replaced by what it stands for; keys beside it win."""
    training = dict(layer.get("training", {}))
    name = training.pop("preset", None)
    if name is None:
        return {**layer, "training": training} if "training" in layer else layer
    published = {"training": preset(name, layout)}
    return {**layer, "training": override(published, {"training": training})["training"]}


def of_modality(block: dict, modality: str) -> dict:
    """A block with `per_modality` applied."""
    common = {key: value for key, value in block.items() if key != "per_modality"}
    return merge(common, block.get("per_modality", {}).get(modality, {}))


def override(blocks: dict, layer: dict) -> dict:
    """Blocks overridden by a later layer.

    A key that it sets for all modalities wins over `per_modality` below it.
    """
    below = dict(blocks)
    for name in ("model", "training"):
        if "per_modality" not in blocks.get(name, {}):
            continue
        keys = layer.get(name, {}).keys() - {"per_modality"}
        keys |= {_INSTEAD_OF[key] for key in keys if key in _INSTEAD_OF}
        per_modality = {
            modality: {key: value for key, value in own.items() if key not in keys}
            for modality, own in blocks[name]["per_modality"].items()
        }
        below[name] = {**blocks[name], "per_modality": per_modality}
    return merge(below, layer)


def merge(base: dict, over: dict) -> dict:
    """Deep merge; maps whose keys are the user's names are replaced as a whole."""
    merged = {key: value for key, value in base.items() if _INSTEAD_OF.get(key) not in over}
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and key not in _REPLACED:
            merged[key] = merge(old, value)
        else:
            merged[key] = copy.deepcopy(value)
    return merged
