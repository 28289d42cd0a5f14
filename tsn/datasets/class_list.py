"""Reading lists of classes: numbers or codes, and names, in any of the forms that people have."""

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tsn.datasets.rows import is_comment, read_text
from tsn.runtime.errors import UserError

_NUMBERS = ("id", "number", "index", "class_id", "class_index", "label_id", "label")
_NAMES = ("name", "key", "class_name", "label_name", "class", "category", "label")
"""What tables and objects call the number and the name of a class, likeliest first."""

_NUMBER = r"\d+|[a-z]\d{3}"
"""A number, or a code as Charades has."""

Pairs = list[tuple[str, str]]
"""Number or code, and name, of each class."""


def read_class_list(file: Path) -> dict[str, str]:
    """Number or code of a class, as lists give it -> its name, in the order of the classes.

    Lines hold `name` (numbered from 0), `number name`, `name number`, or `code name`, parted by
    spaces, a comma or a tab; lines that begin with # are comments. JSON holds a list of names or of
    objects, `{name: number}` or `{number: name}`. A table has a column for the number and one for
    the name, such as EPIC-Kitchens' `id` and `key`.

    Raises:
        UserError: the file cannot be read, or a number or a name stands there twice.
    """
    text = read_text(file).strip()
    pairs = _from_json(file, text) if text[:1] in ("{", "[") else _from_lines(text)
    pairs = [(plain_number(number), name.strip().strip('"')) for number, name in pairs]
    if not pairs or not all(name for _, name in pairs):
        raise UserError(f"{file}: has no class, or one without a name; correct the list of classes")
    for title, column in (("number", 0), ("class", 1)):
        seen: dict[str, tuple[str, str]] = {}
        for pair in pairs:
            if (other := seen.setdefault(pair[column], pair)) is not pair:
                both = " and ".join(f"'{number} {name}'" for number, name in (other, pair))
                raise UserError(
                    f"{file}: the {title} {pair[column]!r} is there twice, {both}; correct the "
                    "list of classes"
                )
    if all(number.isdecimal() for number, _ in pairs):
        pairs.sort(key=lambda pair: number_order(pair[0]))
    return dict(pairs)


def plain_number(text: str) -> str:
    """A whole number without leading zeros and without the ".0" that pandas may add."""
    match = re.fullmatch(r"0*(\d+?)(?:\.0*)?", text)
    return match[1] if match else text


def number_order(digits: str) -> tuple[int, str]:
    """Sorts whole numbers; int() refuses those of more than 4300 digits."""
    digits = digits.lstrip("0")
    return len(digits), digits


def _from_lines(text: str) -> Pairs:
    lines = [line.strip() for line in text.split("\n")]
    lines = [line for line in lines if line and not is_comment(line)]
    for mark in ",;\t":
        header = [name.strip().strip('"').lower() for name in lines[0].split(mark)] if lines else []
        number, name = _columns(header)
        if number and name:
            lines[0] = mark.join(header)
            table = csv.DictReader(lines, delimiter=mark)
            return [(row[number], row[name]) for row in table if row[number] and row[name]]
    parts = [re.fullmatch(rf"({_NUMBER})[\s,;]+(.+)", line) for line in lines]
    ends = [re.fullmatch(r"(.+?)[\s,;]+(\d+)", line) for line in lines]
    if all(parts):
        return [(part[1], part[2]) for part in parts if part]
    if all(ends):
        return [(part[2], part[1]) for part in ends if part]
    return [(str(number), line) for number, line in enumerate(lines)]


def _columns(names: list[str]) -> tuple[str, str]:
    """The columns of the number and the name among others; "" for one that is not there."""
    name = next((column for column in _NAMES if column in names), "")
    return next((c for c in _NUMBERS if c in names and c != name), ""), name


def _from_json(file: Path, text: str) -> Pairs:
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is no JSON ({error}); restore the file") from None
    if isinstance(content, dict):
        pairs = [(str(key), str(value)) for key, value in content.items() if _is_name(value)]
        if len(pairs) == len(content):
            if all(re.fullmatch(r"\d+", value) for _, value in pairs):
                return [(number, name) for name, number in pairs]
            if all(re.fullmatch(_NUMBER, key) for key, _ in pairs):
                return pairs
    elif all(isinstance(entry, Mapping) for entry in content):
        number, name = _columns(list({key: None for entry in content for key in entry}))
        if name:
            return [
                (str(entry.get(number, n)), str(entry.get(name) or ""))
                for n, entry in enumerate(content)
            ]
    elif all(_is_name(entry) or isinstance(entry, list) for entry in content):
        names = (" ".join(map(str, e)) if isinstance(e, list) else str(e) for e in content)
        return [(str(number), name) for number, name in enumerate(names)]
    raise UserError(
        f"{file}: this JSON is no list of classes; known are a list of names, {{name: number}}, "
        "{number: name}, and a list of objects with id and name"
    )


def _is_name(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)
