"""Layers of the configuration laid over each other: presets, data sets, experiments, modalities."""

import copy

from tsn.config.presets import preset

_INSTEAD_OF = {"epochs": "iterations", "iterations": "epochs"}


def with_preset(layer: dict, layout: str) -> dict:
    """The layer with `training.preset` replaced by what it stands for; keys beside it win."""
    training = dict(layer.get("training", {}))
    name = training.pop("preset", None)
    if name is None:
        return {**layer, "training": training} if "training" in layer else layer
    published = without_overruled({"training": preset(name, layout)}, {"training": training})
    return {**layer, "training": merge(published["training"], training)}


def of_modality(block: dict, modality: str) -> dict:
    """A block with `per_modality` applied."""
    common = {key: value for key, value in block.items() if key != "per_modality"}
    return merge(common, block.get("per_modality", {}).get(modality, {}))


def without_overruled(blocks: dict, override: dict) -> dict:
    """A key of an override wins over `per_modality` of what it is laid over."""
    left = dict(blocks)
    for name in ("model", "training"):
        if "per_modality" not in blocks.get(name, {}):
            continue
        keys = override.get(name, {}).keys() - {"per_modality"}
        keys |= {_INSTEAD_OF[key] for key in keys if key in _INSTEAD_OF}
        left[name] = dict(blocks[name])
        left[name]["per_modality"] = {
            modality: {key: value for key, value in special.items() if key not in keys}
            for modality, special in blocks[name]["per_modality"].items()
        }
    return left


def merge(base: dict, over: dict) -> dict:
    """Deep merge; the two maps of the fusion block are replaced as a whole.

    A training counts its length in epochs or in iterations: setting one unsets the other.
    """
    merged = {key: value for key, value in base.items() if _INSTEAD_OF.get(key) not in over}
    for key, value in over.items():
        old = merged.get(key)
        deep = (
            isinstance(old, dict) and isinstance(value, dict) and key not in ("weights", "compare")
        )
        merged[key] = merge(old, value) if deep else copy.deepcopy(value)
    return merged
