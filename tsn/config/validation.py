"""JSON-schema validation with messages of one sentence."""

import difflib
import math
from functools import cache
from pathlib import Path

from tsn.runtime.errors import UserError

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"


KINDS = {
    "object": "a map of keys",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
"""JSON schema's types as a user of YAML calls them."""


@cache
def _validator():
    import jsonschema
    import yaml

    return jsonschema.Draft202012Validator(yaml.safe_load(SCHEMA.read_text(encoding="utf-8")))


def check_schema(config: dict) -> None:
    """Check names, types and ranges of all keys.

    Raises:
        UserError: one sentence that names the key, e.g. ``training.lr: 'fast' is not a number``.
    """
    from jsonschema.exceptions import best_match

    error = best_match(_validator().iter_errors(config))
    if error is not None:
        raise UserError(_sentence(error))
    _check_finite(config, "")


def _check_finite(value: object, key: str) -> None:
    """JSON schema's ranges let .nan pass, and .inf where there is no maximum."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        path = f"{key}.{name}" if key else str(name)
        if isinstance(item, dict | list):
            _check_finite(item, path)
        elif isinstance(item, float) and not math.isfinite(item):
            raise UserError(f"{path}: {item!r} is not a finite number")


def _sentence(error) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "config"
    value, rule = error.instance, error.validator_value
    match error.validator:
        case "additionalProperties":
            known = list(error.schema.get("properties", {}))
            unknown = next(name for name in value if name not in known)
            near = difflib.get_close_matches(str(unknown), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            path = f"{key}.{unknown}" if error.absolute_path else unknown
            return f"{path}: unknown key; {hint}"
        case "required":
            absent = next(name for name in rule if name not in value)
            path = f"{key}.{absent}" if error.absolute_path else absent
            return f"{path}: this key is missing"
        case "type":
            kinds = rule if isinstance(rule, list) else [rule]
            wanted = " or ".join(KINDS[kind] for kind in kinds)
            hint = _float_hint(value) if {"number", "integer"} & set(kinds) else ""
            return f"{key}: {value!r} is not {wanted}{hint}"
        case "enum":
            return f"{key}: {value!r} is not one of {', '.join(map(repr, rule))}"
        case "pattern" if "description" in error.schema:
            return f"{key}: {value!r} is not {error.schema['description']}"
        case "anyOf":
            return (
                f"{key}: {value!r} is neither 'paper', 'search' nor a map of modalities to weights"
            )
        case _:
            return f"{key}: {error.message}"


def _float_hint(value) -> str:
    """YAML 1.1 reads 1e-3 as text."""
    try:
        float(value)
    except (TypeError, ValueError):
        return ""
    return " (YAML needs a point in it: write 1.0e-3, not 1e-3)" if isinstance(value, str) else ""
