"""Types of values in the configuration, lenient where YAML's or a shell's text has one meaning."""

import functools
import os
import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, PydanticKnownError

from tsn.config.messages import sentence
from tsn.runtime.errors import UserError

LAZY = ConfigDict(defer_build=True, extra="forbid")
"""Of classes: many are only parts of others, and to compile a checker for each takes time. A key
that is not theirs is refused."""


def _number(value: object) -> object:
    """True is not 1; "1e-3" and "80.0" are numbers (YAML 1.1 and --config give them as text)."""
    if isinstance(value, bool):
        raise PydanticKnownError("float_type")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _whole(value: object) -> object:
    value = _number(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: object) -> object:
    """A class named 101 is text; one that YAML reads as true or 1.5 might be yes or 1.50."""
    if isinstance(value, bool | float):
        why = "YAML 1.1 reads no, off, yes and on so; " if isinstance(value, bool) else ""
        raise PydanticCustomError("unquoted", f"is not text; {why}put it in quotes")
    if isinstance(value, str) and "\0" in value:
        raise PydanticCustomError("nul", "has the character NUL, which no name may have")
    return str(value) if isinstance(value, int) else value


def _nullable(value: object) -> object:
    """On the command line null is text."""
    return None if value in ("null", "~", "None") else value


def _map(value: object) -> object:
    """A block all of whose keys are commented out is null to YAML."""
    return {} if value is None else value


def _unique(values: tuple) -> tuple:
    for value in values:
        if values.count(value) > 1:
            raise PydanticCustomError("twice", "has {value} twice", {"value": str(value)})
    return values


def _home(path: str) -> str:
    return os.path.expanduser(path)  # noqa: PTH111 - Path() refuses users that there are not


def shaped(pattern: str, what: str) -> AfterValidator:
    """A check of a text's form."""

    def check(text: str | None) -> str | None:
        if text is not None and not re.fullmatch(pattern, text):
            raise PydanticCustomError("shape", f"is not {what}")
        return text

    return AfterValidator(check)


def doc(text: str, source: str = "", unit: str = "", **limits: Any) -> Any:
    """What a key means, for the table of keys, and its range."""
    return Field(description=text, json_schema_extra={"source": source, "unit": unit}, **limits)


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Whole = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=10**9)]
Seed = Annotated[int, BeforeValidator(_whole), Field(ge=0, le=2**31 - 1)]
Text = Annotated[str, BeforeValidator(_text), Field(min_length=1)]
MAP = BeforeValidator(_map)
NULLABLE = BeforeValidator(_nullable)
SHORT = Field(max_length=100)  # of 255 bytes that a file's name may have
Name = Annotated[
    Text,
    SHORT,
    shaped(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "letters, digits, _, . and -, a letter first"),
]
Folder = Annotated[Text, AfterValidator(_home)]
WHOLE = BeforeValidator(_whole)
UNIQUE = AfterValidator(_unique)


@functools.cache
def _adapter(kind: Any) -> TypeAdapter:
    return TypeAdapter(kind)


def build(kind: Any, values: object, where: str = "") -> Any:
    """An object of the configuration from plain values: what `plain` returned, or YAML.

    Args:
        kind: a class of `tsn.config.schema`.
        values: a map of its keys.
        where: their place in the configuration, for the sentence.

    Raises:
        UserError: naming the first key with a wrong value.
    """
    try:
        return _adapter(kind).validate_python(values)
    except ValidationError as error:
        raise UserError(sentence(error, where)) from None


def plain(value: object) -> Any:
    """An object of the configuration as values that JSON has, fit for a rule's `params:`."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json")


def keys_of(kind: Any) -> dict[str, FieldInfo]:
    """The keys of a class of the configuration, with their descriptions."""
    return dict(kind.__pydantic_fields__)
