"""A row of a list of videos, and what the readers of all formats share."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsn.runtime.errors import UserError
from tsn.video.span import Span

_SPREADSHEETS = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
"""How files of .xlsx and .ods (ZIP), and of .xls (OLE) begin."""

ALIASES = {
    "path": (
        *("path", "video", "video_path", "file", "filename", "filepath", "file_path", "file_name"),
        *("video_name", "clip", "clip_path", "clip_name", "name", "video_id"),
    ),
    "label": (
        *("label", "class", "class_name", "action", "category", "label_name", "class_id"),
        *("label_id", "target"),
    ),
    "split": ("split", "part", "subset"),
    "group": ("group",),
    "id": ("id",),
    "start": ("start", "start_time", "start_sec", "start_seconds", "t_start", "begin"),
    "end": ("end", "end_time", "end_sec", "end_seconds", "t_end", "stop"),
    "start_frame": ("start_frame",),
    "end_frame": ("end_frame", "stop_frame"),
}
"""Columns of a table and the names that they go by, beside those of `columns` in a data set."""


Columns = Mapping[str, str | Sequence[str]]
"""Name of a column in `ALIASES` -> what it is called in the file; several are joined."""


@dataclass(frozen=True, slots=True)
class Row:
    """A video or a clip as a list names it.

    Attributes:
        where: file and line.
        paths: names that the video may have, relative to the video folder, with or without ending.
        label: name, number or code of the class.
        part: "train", "val" …, as it is written; "" if the row does not say.
        group: name of the group; "" if the row does not say.
        id: "" if the row does not say.
        span: of the clip in the video; None for all of it.
        trimmed: names that a file may have that holds this clip alone.
    """

    where: str
    paths: tuple[str, ...]
    label: str
    part: str = ""
    group: str = ""
    id: str = ""
    span: Span | None = None
    trimmed: tuple[str, ...] = ()


Make = Callable[[str, Any], "Row | list[Row]"]
"""Reads a row: from its place and what the file holds there."""


class InvalidRowError(ValueError):
    """Something is wrong with one row; the text says what."""


def is_comment(line: str) -> bool:
    """Whether a line of a list is a comment."""
    return line.lstrip().startswith("#")


def read_text(file: Path) -> str:
    """Text of any encoding that spreadsheets write, with line feeds as its line ends.

    Names that are not UTF-8 keep their bytes.

    Raises:
        UserError: the file cannot be read, or is a spreadsheet.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{str(file)!r}: cannot be read ({error.strerror}); correct the name or its rights"
        ) from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    elif data.startswith(_SPREADSHEETS):
        raise UserError(f"{str(file)!r}: is a spreadsheet; save it as CSV")
    else:
        text = data.decode("utf-8-sig", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def columns_of(name: str, columns: Columns) -> set[str]:
    """What a column may be called, in lower case."""
    wanted = columns.get(name, ALIASES[name])
    return {wanted.lower()} if isinstance(wanted, str) else {name.lower() for name in wanted}


def table_row(where: str, row: Mapping[str, str], columns: Columns) -> Row:
    """A row of a table, from its values by column.

    Raises:
        InvalidRowError: it has no path, no label, or times that are none.
    """

    def value(name: str) -> str:
        wanted = columns.get(name)
        if wanted is None:
            return next((row[alias] for alias in ALIASES[name] if row.get(alias)), "")
        names = [wanted] if isinstance(wanted, str) else wanted
        for column in names:
            if column.lower() not in row:
                raise InvalidRowError(f"there is no value for the column {column!r}")
        return " ".join(row[column.lower()] for column in names)

    path, label = value("path"), value("label")
    for name, text in (("path", path), ("label", label)):
        if not text:
            raise InvalidRowError(f"column {name}: there is none")
    if "\n" in label:
        raise InvalidRowError(f"column label: {label[:40]!r} has a line break; close its quote")
    return Row(
        where,
        (path,),
        label,
        value("split"),
        value("group"),
        value("id"),
        _span(value("start"), value("end"), value("start_frame"), value("end_frame")),
    )


def _span(start: str, end: str, start_frame: str, end_frame: str) -> Span | None:
    if start or end:
        return make_span(
            seconds(start, "start") if start else 0.0,
            seconds(end, "end") if end else float("inf"),
            "s",
        )
    if start_frame or end_frame:
        try:
            first = int(start_frame or 0)
            last = float(int(end_frame)) if end_frame else float("inf")
        except ValueError:
            text = f"{start_frame!r}, {end_frame!r}"
            raise InvalidRowError(f"columns start_frame, end_frame: {text}: no numbers") from None
        return make_span(float(first), last, "frames")
    return None


def make_span(start: float, end: float, unit: str) -> Span:
    """A span.

    Raises:
        InvalidRowError: it has no length, or begins before the video.
    """
    if start < 0:
        raise InvalidRowError(f"column start: {start:g} is before the video begins")
    if not end > start:
        raise InvalidRowError(f"column end: {end:g} is not after the start, {start:g}")
    return Span(start, end, "s" if unit == "s" else "frames")


def seconds(text: str, column: str) -> float:
    """Seconds of `12.5`, `0:12.5` or `0:00:12.5`."""
    if not re.fullmatch(r"(\d+:){0,2}\d+(\.\d*)?", text):
        raise InvalidRowError(
            f"column {column}: {text!r} is no time; write seconds as 12.5 or 0:00:12.5"
        )
    value = 0.0
    for part in text.split(":"):
        value = 60 * value + float(part)
    return value


def valid_rows(
    file: Path, numbered: Iterable[tuple[int | str, Make, Any]], problems: list[str]
) -> Iterator[Row]:
    """What the readers make of the rows of a file; those that are invalid are added to `problems`.

    Args:
        file: for the sentences.
        numbered: line (or place), reader, and what it reads.
        problems: gets a sentence for each row that is invalid.
    """
    for number, make, source in numbered:
        where = f"{file}:{number}"
        try:
            made = make(where, source)
            yield from made if isinstance(made, list) else [made]
        except InvalidRowError as error:
            problems.append(f"{where}: {error}")
        except KeyError as error:  # a row that is cut
            problems.append(f"{where}: there is no value for {error}")
        except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
            problems.append(f"{where}: cannot be read ({error})")
