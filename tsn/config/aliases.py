"""Keys whose names changed: the old ones are understood for this version, with a warning each.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

from tsn.runtime.errors import UserError

_RENAMED = {
    "flow": {"scales": ("pyramid_levels", {})},
    "training": {"steps": ("lr_milestones", {}), "scales": ("crop_scales", {})},
    "test": {
        "convention": ("snippet_sampling", {"centre": "segment_centres", "release": "caffe"}),
    },
    "fusion": {"level": ("fuse", {"score": "logits", "softmax": "probabilities"})},
}
"""Block -> old key -> new key, and new names of its values."""

_LENGTH_OF = {"epoch": "epochs", "iteration": "iterations"}
_UNIT_OF_PRESET = {"caffe": "iteration", "paper": "iteration", "tsn_pytorch": "epoch"}


def with_new_names(config: dict) -> tuple[dict, list[str]]:
    """The configuration with old keys renamed, and a warning for each.

    Args:
        config: as read from YAML, before any check; it stays as it is.

    Raises:
        UserError: if `training.unit` or an old key has a value that it never could have.
    """
    warnings: list[str] = []
    unit = _unit(config, "epoch")
    renamed = _layer(config, "", unit, warnings)
    for kind in ("datasets", "experiments"):
        if not isinstance(config.get(kind), dict):
            continue
        renamed[kind] = dict(config[kind])
        for name, value in config[kind].items():
            key = f"{kind}.{name}"
            if kind == "experiments":
                renamed[kind][name] = _layer(value, f"{key}.", unit, warnings)
            elif isinstance(value, dict) and "override" in value:
                override = _layer(value["override"], f"{key}.override.", unit, warnings)
                renamed[kind][name] = {**value, "override": override}
    return renamed, warnings


def _unit(layer: object, otherwise: str) -> str:
    """What a layer counts the length of a training in."""
    training = layer.get("training") if isinstance(layer, dict) else None
    if not isinstance(training, dict):
        return otherwise
    unit = training.get("unit")
    return unit or _UNIT_OF_PRESET.get(training.get("preset"), otherwise)


def _layer(layer: object, where: str, unit: str, warnings: list[str]):
    if not isinstance(layer, dict):
        return layer
    unit, renamed = _unit(layer, unit), dict(layer)
    for name in _RENAMED.keys() & layer.keys():
        block = _block(layer[name], name, f"{where}{name}", unit, warnings)
        if isinstance(block, dict) and isinstance(block.get("per_modality"), dict):
            block["per_modality"] = {
                modality: _block(
                    special, name, f"{where}{name}.per_modality.{modality}", unit, warnings
                )
                for modality, special in block["per_modality"].items()
            }
        renamed[name] = block
    return renamed


def _block(block: object, name: str, where: str, unit: str, warnings: list[str]):
    if not isinstance(block, dict):
        return block
    renamed = dict(block)
    for old, (new, values) in _RENAMED[name].items():
        if old in block:
            value = renamed.pop(old)
            renamed[new] = values.get(value, value) if values else value
            warnings.append(f"{where}.{old}: is now {new}; write {new}: {_yaml(renamed[new])}")
    if name == "training" and ("length" in block or "unit" in block):
        renamed.pop("length", None)
        unit = renamed.pop("unit", unit)
        if unit not in _LENGTH_OF:
            raise UserError(f"{where}.unit: {unit!r} is not one of 'epoch', 'iteration'")
        new = _LENGTH_OF[unit]
        advice = f"{where}.length and unit: are now epochs or iterations"
        if "length" in block:
            renamed[new] = block["length"]
            advice += f"; write {new}: {_yaml(block['length'])}"
        warnings.append(advice)
    return renamed


def _yaml(value: object) -> str:
    return str(value).replace("'", "")
