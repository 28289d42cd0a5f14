"""`python -m tsn.config.table`: the tables of keys in config/README.md, from the model.

--write updates them, --check fails if one is not up to date, --schema prints the JSON schema, with
which editors check a file of the configuration while it is written.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic.fields import FieldInfo

from tsn.config.datasets import DATASETS
from tsn.config.document import DatasetLayer, Document, Layer
from tsn.config.fields import keys_of
from tsn.config.load import read_config
from tsn.config.presets import preset
from tsn.models.modality import NAMES
from tsn.runtime.command_line import run_command
from tsn.runtime.errors import UserError

README = Path("config/README.md")
_MARKED = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->\n)", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tsn.config.table", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    for name in ("write", "check", "schema"):
        action.add_argument(f"--{name}", action="store_true")
    arguments = parser.parse_args(argv)
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        print(json.dumps(Document.model_json_schema(), indent=2))
        return 0
    now = README.read_text(encoding="utf-8")
    wanted = with_tables(now, read_config(README.with_name("config.yaml")))
    if arguments.write:
        README.write_text(wanted, encoding="utf-8")
    elif now != wanted:
        raise UserError(f"{README}: is not up to date; run python -m tsn.config.table --write")
    return 0


def with_tables(text: str, config: dict) -> str:
    """The text with every table between `<!-- keys: NAME -->` and `<!-- end -->` made anew."""
    return _MARKED.sub(
        lambda found: found[1] + "\n" + _table(found[2], config) + "\n" + found[3], text
    )


def _table(name: str, config: dict) -> str:
    """The table of a block, of "datasets", or of the keys outside any ("run" and "tables")."""
    if name == "datasets":
        return _dataset_table()
    if name in ("run", "tables"):
        kinds = {"run": ("experiment", "seed", "modalities"), "tables": ("tables", "table_seeds")}
        keys = {key: Document.model_fields[key] for key in kinds[name]}
        return _rows(keys, {**config, "tables": "see the file"})
    layer: type[Layer] = Document.model_fields[name].annotation  # type: ignore[assignment]
    return _rows(layer.model_fields, config[name], _of_preset() if name == "training" else {})


def _rows(
    keys: Mapping[str, FieldInfo], values: dict, of_preset: Mapping[str, str] | None = None
) -> str:
    rows = []
    for key, field in keys.items():
        extra: Any = field.json_schema_extra or {}
        default = (of_preset or {}).get(key) or (_yaml(values[key]) if key in values else "")
        unit = f" {extra['unit']}" if extra.get("unit") and default else ""
        rows.append((f"`{key}`", field.description or "", default + unit, extra.get("source", "")))
    return _markdown(("key", "meaning", "default", "source"), rows)


def _dataset_table() -> str:
    rows = []
    for key, field in DatasetLayer.model_fields.items():
        kinds = {name: keys_of(kind) for name, kind in DATASETS.items()}
        layouts = [name for name, keys in kinds.items() if key in keys or key == "override"]
        own = next((kinds[name][key] for name in layouts if key in kinds[name]), None)
        required = key == "layout" or (own is not None and own.is_required())
        default = (
            "required"
            if required
            else _yaml(own.get_default(call_default_factory=True) if own else {})
        )
        of = "" if len(layouts) == len(DATASETS) else ", ".join(f"`{name}`" for name in layouts)
        rows.append((f"`{key}`", of, field.description or "", default))
    return _markdown(("key", "layouts", "meaning", "default"), rows)


def _of_preset() -> dict[str, str]:
    """What the preset of config.yaml sets, by modality where they differ."""
    block = preset("tsn_pytorch", "ucf101")
    of = {name: block["per_modality"][name] for name in ("rgb", "flow", "rgb_diff")}
    found = {key: _yaml(value) for key, value in block.items() if key != "per_modality"}
    for key in of["rgb"]:
        texts = {NAMES[name]: _yaml(keys[key]) for name, keys in of.items()}
        same = len(set(texts.values())) == 1
        found[key] = texts["RGB"] if same else ", ".join(f"{n} {t}" for n, t in texts.items())
    return found


def _yaml(value: object) -> str:
    if isinstance(value, str) and " " in value:
        return value
    value = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("...\n").strip()
    return f"`{text}`"


def _markdown(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    used = [n for n in range(len(header)) if any(row[n] for row in rows)]
    lines = [header, ("---",) * len(header), *rows]
    return "".join("| " + " | ".join(line[n] for n in used) + " |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
