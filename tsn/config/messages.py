"""What is wrong with a configuration, in one sentence that names the key and quotes its value."""

import difflib
from typing import Any

from pydantic import ValidationError

_KINDS = {
    "model_type": "a map of keys",
    "model_attributes_type": "a map of keys",
    "dataclass_type": "a map of keys",
    "dict_type": "a map of keys",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
}
"""Types of pydantic's errors: what the value is not, in YAML's terms."""

_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def sentence(error: ValidationError, where: str = "") -> str:
    """One sentence about the first of the errors.

    Args:
        error: of a model of `tsn.config.document`.
        where: the key of the configuration that was checked.
    """
    first = error.errors(include_url=False)[0]
    # Of a union, pydantic names the member too: those tags are written <so>.
    places = [str(part) for part in first["loc"] if not str(part).startswith(("<", "["))]
    key = ".".join([where, *places] if where else places)
    kind, value, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "unknown_key":
        path = f"{key}.{context['key']}" if key else context["key"]
        return f"{path}: unknown key; {did_you_mean(context['key'], context['known'])}"
    if kind in ("unexpected_keyword_argument", "unexpected_positional_argument"):
        return f"{key}: there is no such key"
    if kind == "missing" and isinstance(first["loc"][-1], int):
        above, _, place = key.rpartition(".")
        return f"{above}: {_shown(value)} is too short; entry {int(place) + 1} is missing"
    if kind in ("missing", "missing_argument"):
        return f"{key}: this key is missing"
    if kind == "union_tag_not_found":
        return f"{key}.layout: this key is missing"
    if value is None:
        return f"{key}: is empty; write its value, or remove the key"
    if first["loc"] and first["loc"][-1] == "[key]":
        return f"{key}: the name {_shown(value)} {_wrong(kind, value, context, first['msg'])}"
    return f"{key}: {_shown(value)} {_wrong(kind, value, context, first['msg'])}"


def _shown(value: object) -> str:
    """A value as it is quoted: somebody may have pasted a whole file."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 200


def did_you_mean(name: str, known: list[str]) -> str:
    """A hint for a name that is not among those that are known."""
    near = difflib.get_close_matches(name, known, 1)
    return f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"


def _wrong(kind: str, value: object, context: dict[str, Any], message: str) -> str:
    if kind == "tuple_type":
        return "is not a list" if isinstance(value, dict) else f"is not a list; write [{value}]"
    if kind in _KINDS:
        return f"is not {_KINDS[kind]}"
    if kind in _LIMITS:
        name, words = _LIMITS[kind]
        return f"is not {words} {context[name]}"
    if kind == "literal_error":
        return f"is not one of {context['expected'].replace(' or ', ', ')}"
    if kind in ("too_short", "string_too_short") and not value:
        return "is empty"
    if kind == "too_short":
        return f"has fewer than {context['min_length']} entries"
    if kind == "too_long":
        parts = "characters" if isinstance(value, str) else "entries"
        return f"has more than {context['max_length']} {parts}"
    return message[:1].lower() + message[1:]
