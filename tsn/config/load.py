"""Reading files of the configuration, and names of keys that have changed.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import re
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

import yaml

from tsn.runtime.errors import UserError

_TYPES = ("null", "bool", "int", "float", "str", "seq", "map")


class _Loader(yaml.SafeLoader):
    """YAML without the surprises of its version 1.1, and without a key that stands there twice.

    As in YAML 1.2 only true and false are switches (a class may be called "no"), 1e-3 is a number,
    and 12:30, 0123 and 2020-01-01 are text.
    """

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012
    # Of the tags that one may write, those of these types; a !!set has no order.
    yaml_constructors = {  # noqa: RUF012
        tag: make
        for tag, make in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in _TYPES
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise UserError(
                    f"{self.name}, line {line}: a list or a map stands where a key belongs; "
                    "a value with braces or brackets wants quotes"
                )
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise UserError(
                    f"{self.name}, line {line}: the key {key.value!r} is there already, in line "
                    f"{seen[key.value]}; put both under one"
                )
            seen[key.value] = line
        return super().construct_mapping(node, deep)


for _kind, _pattern, _first in (
    ("bool", r"true|false|True|False|TRUE|FALSE", "tfTF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", "<<", "<"),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(f"^(?:{_pattern})$"), list(_first)
    )


def read_config(path: Path | str) -> dict:
    """The keys of a file of the configuration.

    Raises:
        UserError: it cannot be read, is no YAML or no map of keys, or has a key twice.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            found = yaml.load(file, _Loader)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not text in UTF-8: {error}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    except (ValueError, KeyError) as error:  # of PyYAML, about a value that its tag does not fit
        raise UserError(f"{path}: is no YAML: a value that cannot be read: {error}") from None
    except RecursionError:
        raise UserError(f"{path}: is no YAML: too many brackets in each other") from None
    if not isinstance(found, dict | None):
        raise UserError(f"{path}: holds no keys; write them as key: value")
    return found or {}


def with_current_names(layer: dict) -> tuple[dict, list[str]]:
    """The keys of a file with old names replaced, and a warning for each.

    Args:
        layer: as read, before any check; it stays as it is.

    Raises:
        UserError: a key is there by both of its names, or `training.unit` is neither.
    """
    warnings: list[str] = []
    unit = _unit(layer, "epoch")
    renamed = _renamed_layer(layer, "", unit, warnings)
    for kind in ("datasets", "experiments"):
        if not isinstance(layer.get(kind), dict):
            continue
        renamed[kind] = dict(layer[kind])
        for name, value in layer[kind].items():
            key = f"{kind}.{name}"
            if kind == "experiments":
                renamed[kind][name] = _renamed_layer(value, f"{key}.", unit, warnings)
            elif isinstance(value, dict) and "override" in value:
                override = _renamed_layer(value["override"], f"{key}.override.", unit, warnings)
                renamed[kind][name] = {**value, "override": override}
    return renamed, warnings


_RENAMED: dict[str, dict[str, tuple[str, dict]]] = {
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


def _unit(layer: object, otherwise: str) -> str:
    """What a layer counts the length of a training in."""
    training = layer.get("training") if isinstance(layer, dict) else None
    if not isinstance(training, dict):
        return otherwise
    unit = training.get("unit") or _UNIT_OF_PRESET.get(str(training.get("preset")), otherwise)
    return str(unit)


def _renamed_layer(layer: Any, where: str, unit: str, warnings: list[str]) -> Any:
    if not isinstance(layer, dict):
        return layer
    unit, renamed = _unit(layer, unit), dict(layer)
    for name in (name for name in _RENAMED if name in layer):
        path = f"{where}{name}"
        block = _renamed_block(layer[name], name, path, unit, warnings)
        if isinstance(block, dict) and isinstance(block.get("per_modality"), dict):
            block["per_modality"] = {
                modality: _renamed_block(
                    keys, name, f"{path}.per_modality.{modality}", unit, warnings
                )
                for modality, keys in block["per_modality"].items()
            }
        renamed[name] = block
    return renamed


def _renamed_block(block: Any, name: str, where: str, unit: str, warnings: list[str]) -> Any:
    if not isinstance(block, dict):
        return block
    renamed = dict(block)

    def rename(old: str, new: str, value: object) -> None:
        if new in block:
            raise UserError(
                f"{where}.{old}: the old name of {new}, which is set as well; remove it"
            )
        renamed[new] = value
        text = str(value).replace("'", "")
        warnings.append(f"{where}.{old}: its name is now {new}; write {new}: {text}")

    for old, (new, values) in _RENAMED[name].items():
        if old in block:
            value = renamed.pop(old)
            rename(old, new, values.get(value, value) if isinstance(value, str) else value)
    if name == "training" and {"length", "unit"} & block.keys():
        unit = renamed.pop("unit", unit)
        if str(unit) not in _LENGTH_OF:
            raise UserError(f"{where}.unit: {unit!r} is not one of 'epoch', 'iteration'")
        if "length" in block:
            rename("length", _LENGTH_OF[unit], renamed.pop("length"))
        else:
            warnings.append(f"{where}.unit: is no longer; write epochs or iterations")
    return renamed


def with_current_names_of_all(layers: Iterable[dict]) -> tuple[list[dict], list[str]]:
    """The same for several files."""
    pairs = [with_current_names(layer) for layer in layers]
    return [layer for layer, _ in pairs], [text for _, texts in pairs for text in texts]
