"""Reading lists of videos: tables, plain lists, and the files of published data sets.

The format is detected from the content. Invalid rows are reported with their line; the others
are used. Formats and the files they were checked against are described in docs/data.md.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tsn.datasets.plain_list import VIDEO_AND_REST, plain_row, without_header
from tsn.datasets.published_lists import (
    THUMOS_FILE,
    THUMOS_ROW,
    activitynet,
    charades_clips,
    charades_video,
    epic_kitchens,
    json_row,
    kinetics,
    thumos,
)
from tsn.datasets.rows import (
    Columns,
    Make,
    Row,
    columns_of,
    is_comment,
    read_text,
    table_row,
    valid_rows,
)
from tsn.runtime.errors import UserError


def read_annotations(
    file: Path, columns: Columns, multi_label: bool = False
) -> tuple[list[Row], list[str]]:
    """The rows of a list, and a sentence with file and line for each that is invalid.

    Args:
        file: the list.
        columns: what the columns of a table are called.
        multi_label: take a video of Charades as a whole, with all its actions.

    Raises:
        UserError: the file cannot be read, or is none of the known kinds.
    """
    text = _SEPARATOR.sub("", read_text(file))
    problems: list[str] = []
    if text.lstrip()[:1] in ("{", "["):
        return _from_json(file, text, columns, problems), problems
    lines = text.split("\n")
    header: list[str] = []
    # Some programs begin the header with a #, as they do comments above it.
    for number, line in enumerate(lines, start=1):
        if line.strip():
            delimiter = next((mark for mark in "\t,;" if mark in line), ",")
            fields = next(csv.reader([line.lstrip("# ")], delimiter=delimiter), [])
            header = [name.strip().lower() for name in fields]
            is_text = is_comment(line) and not columns_of("label", columns) & {*header}
            if not is_text and (make := _table_reader(file, header, columns, multi_label)):
                rows = _table_rows(file, lines[number:], number, header, delimiter)
                return list(
                    valid_rows(file, ((n, make, row) for n, row in rows), problems)
                ), problems
            if not is_comment(line):
                break
    if "path" in columns:
        raise UserError(
            f"{file}: has no column {columns['path']!r} (there are: {', '.join(header)}); correct "
            "the key columns"
        )
    plain = [(n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip()]
    if (found := THUMOS_FILE.fullmatch(file.name)) and THUMOS_ROW.fullmatch(plain[0][1]):
        return thumos(file, plain, found[1], found[2], problems), problems
    named = ((n, plain_row, line) for n, line in without_header(file, plain, problems))
    return list(valid_rows(file, named, problems)), problems


_SEPARATOR = re.compile(r"^\"?sep=.\"?(?=\n)")
"""What Excel writes above the header."""


def _table_rows(
    file: Path, lines: Sequence[str], above: int, header: Sequence[str], delimiter: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and values by column of each row below `above` lines."""
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    try:
        for row in reader:
            # A whole row may begin with #, as names may.
            whole = len(row) >= len(header) and not row[0].startswith("# ")
            if any(row) and (whole or not is_comment(row[0])):
                values = (value.strip() for value in row)
                yield reader.line_num + above, dict(zip(header, values, strict=False))
    except csv.Error as error:
        raise UserError(
            f"{file}:{reader.line_num + above}: {error}; is a quote before it not closed?"
        ) from None


def _table_reader(
    file: Path, header: Sequence[str], columns: Columns, multi_label: bool
) -> "Make | None":
    """The reader of one row of a table with these columns; None if they are no table's.

    Raises:
        UserError: it is a table of videos, and no column names their classes, or one end of clips.
    """
    if {"youtube_id", "time_start", "time_end"} <= {*header}:
        return kinetics
    if {"narration_id", "video_id", "start_timestamp"} <= {*header}:
        return lambda where, row: epic_kitchens(where, row, columns)
    if {"id", "actions", "length"} <= {*header}:
        return charades_video if multi_label else charades_clips
    if not columns_of("path", columns) & {*header} or any(map(VIDEO_AND_REST.fullmatch, header)):
        return None
    if len(header) > 1 and not columns_of("label", columns) & {*header}:
        raise UserError(
            f"{file}: has no column {columns.get('label', 'label')!r} (there are: "
            f"{', '.join(header)}); name that of the class with the key columns, as in "
            "columns: {label: activity}"
        )
    for pair in (("start", "end"), ("start_frame", "end_frame")):
        there = [name for name in pair if columns_of(name, columns) & {*header}]
        if len(there) == 1:
            other = pair[pair[0] == there[0]]
            raise UserError(
                f"{file}: has a column for {there[0]} and none for {other} (there are: "
                f"{', '.join(header)}); name it with the key columns, as in columns: {{{other}: "
                "until}, or add one (empty: where the video begins, or ends)"
            )
    return lambda where, row: table_row(where, row, columns)


def _from_json(file: Path, text: str, columns: Columns, problems: list[str]) -> list[Row]:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) > 1 and _is_object(lines[0][1]):  # JSON Lines
        rows = (
            (n, lambda where, line: json_row(where, json.loads(line), columns), line)
            for n, line in lines
        )
        return list(valid_rows(file, rows, problems))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is no JSON ({error}); restore the file") from None
    entries: Iterable[tuple[int | str, Make, Any]]
    if isinstance(content, dict) and isinstance(content.get("database"), dict):
        entries = ((key, activitynet, (key, entry)) for key, entry in content["database"].items())
    elif isinstance(content, list) and all(isinstance(entry, dict) for entry in content):
        entries = (
            (f"entry {n}", lambda where, entry: json_row(where, entry, columns), entry)
            for n, entry in enumerate(content, start=1)
        )
    else:
        raise UserError(
            f"{file}: this JSON is no list of videos; known are a list of objects with path and "
            "label, and the files of Something-Something, Diving48 and ActivityNet"
        )
    return list(valid_rows(file, entries, problems))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
