"""Reading lists of videos: tables, plain lists, and the files of published data sets.

The format is detected from the content. Invalid rows are reported with their line; the others
are used. Formats and the files they were checked against are described in docs/data.md.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsn.datasets.scan import VIDEO_SUFFIXES
from tsn.runtime.errors import UserError
from tsn.video.span import Span

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
    "start": ("start", "start_time"),
    "end": ("end", "end_time", "stop"),
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
            is_text = is_comment(line) and not _columns_of("label", columns) & {*header}
            if not is_text and (make := _table_reader(file, header, columns, multi_label)):
                rows = _table_rows(file, lines[number:], number, header, delimiter)
                return list(_valid(file, ((n, make, row) for n, row in rows), problems)), problems
            if not is_comment(line):
                break
    if "path" in columns:
        raise UserError(
            f"{file}: has no column {columns['path']!r} (there are: {', '.join(header)}); correct "
            "the key columns"
        )
    plain = [(n, line.strip()) for n, line in enumerate(lines, start=1) if line.strip()]
    if (thumos := _THUMOS_FILE.fullmatch(file.name)) and _THUMOS_ROW.fullmatch(plain[0][1]):
        return _thumos(file, plain, thumos[1], thumos[2], problems), problems
    named = ((n, _plain, line) for n, line in _without_header(file, plain, problems))
    return list(_valid(file, named, problems)), problems


_THUMOS_FILE = re.compile(r"(\w+)_(val|test)\.txt")
_THUMOS_ROW = re.compile(r"(video_(?:validation|test)_\d{7})\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)")


def _thumos(
    file: Path, lines: Iterable[tuple[int, str]], label: str, part: str, problems: list[str]
) -> list[Row]:
    """THUMOS14's own files, one a class: `video start end` in seconds; none of `Ambiguous`."""

    def row(where: str, line: str) -> Row:
        found = _THUMOS_ROW.fullmatch(line)
        if not found:
            raise InvalidRowError(f"{line!r} is not video start end")
        span = make_span(float(found[2]), float(found[3]), "s")
        return Row(where, (found[1],), label, part, span=span)

    if label == "Ambiguous":
        return []
    return list(_valid(file, ((n, row, line) for n, line in lines), problems))


def is_comment(line: str) -> bool:
    """Whether a line of a list is a comment."""
    return line.lstrip().startswith("#")


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


def _without_header(
    file: Path, lines: Sequence[tuple[int, str]], problems: list[str]
) -> Iterator[tuple[int, str]]:
    """Lines of a plain list without comments, and without a header of unknown columns."""
    rows = []
    for number, line in lines:
        if not is_comment(line):
            rows.append((number, line))
        elif _NAMED.fullmatch(line) and not line.startswith("# "):
            problems.append(f"{file}:{number}: {line!r} is a comment; a name with # is ./#…")
    if rows and _is_header(rows[0][1], [line for _, line in rows[1:]]):
        number, line = rows.pop(0)
        words = line.lower().split()
        if words[0] not in ALIASES["path"] or words[-1] not in ALIASES["label"]:
            problems.append(
                f"{file}:{number}: {line!r} is taken for a header whose columns are unknown, and "
                "not used; name them with the key columns: {path: clip, label: activity}, say"
            )
    yield from rows


def _is_header(line: str, rows: Sequence[str]) -> bool:
    """Whether the first line of a plain list names columns: it is unlike all others."""
    known = {alias for aliases in ALIASES.values() for alias in aliases} | _OTHER_COLUMNS
    if all(word.lower() in known for word in re.split(r"[\s,;]+", line)):
        return True
    if _NAMED.fullmatch(line) or not (path_and_label := split_line(line)[1]) or not rows:
        return False
    labels = {fields[-1] for row in rows if (fields := split_line(row)[1])}
    label = path_and_label[-1]
    numbers = all(map(str.isdecimal, labels)) and not label.isdecimal()
    return numbers or (all(map(_NAMED.fullmatch, rows)) and label not in labels)


_OTHER_COLUMNS = {"frames", "num_frames", "n_frames", "total_frames", "fps", "duration", "url"}
"""What lists call columns that are not read."""


_SEPARATOR = re.compile(r"^\"?sep=.\"?(?=\n)")
"""What Excel writes above the header."""


def read_text(file: Path) -> str:
    """Text of any encoding that spreadsheets write, with line feeds as its line ends.

    Names that are not UTF-8 keep their bytes.

    Raises:
        UserError: the file cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(
            f"{str(file)!r}: cannot be read ({error.strerror}); correct the name or its rights"
        ) from None
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", errors="replace")
    else:
        text = data.decode("utf-8-sig", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(VIDEO_SUFFIXES, key=len, reverse=True))
_NAMED = re.compile(rf"\"?(.+(?:{_SUFFIX}))\"?(?:[\s,;]+(\S.*))?", re.IGNORECASE)


def split_line(line: str) -> tuple[str, list[str]]:
    """Path and further fields of a line of a plain list.

    The path ends where an ending of a video does, and may hold spaces; one without such an ending
    goes up to the numbers at the end of the line, or else to the first separator.
    """
    named = _NAMED.fullmatch(line)
    if named:
        path, rest = named[1], named[2] or ""
    elif re.search(r"[\t,;]", line):
        path, _, rest = (part.strip() for part in _partition(line))
    elif numbered := re.fullmatch(r"(.+?)((?:\s+\d+){1,3})", line):
        path, rest = numbered[1], numbered[2]
    else:
        path, _, rest = line.partition(" ")
    rest = rest.strip()
    if re.search(r"[\t,;]", rest):
        return path, [field.strip().strip('"') for field in re.split(r"[\t,;]", rest)]
    words = rest.split()
    numbers = [word for word in words if word.isdecimal()]
    if len(numbers) < len(words):  # a label of several words, after numbers
        while words and words[0].isdecimal():
            words.pop(0)
        return path, [*numbers[: len(rest.split()) - len(words)], " ".join(words)]
    return path, words


def _partition(line: str) -> tuple[str, str, str]:
    mark = re.search(r"[\t,;]", line)
    assert mark
    return line[: mark.start()], mark[0], line[mark.end() :]


def _valid(
    file: Path, numbered: Iterable[tuple[int | str, Make, Any]], problems: list[str]
) -> Iterator[Row]:
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


def _plain(where: str, line: str) -> Row:
    """`path label`, `path frames label`, `path offset frames label`, or Moments in Time's row."""
    path, fields = split_line(line)
    if not fields:
        raise InvalidRowError(f"{line!r} has no label")
    if len(fields) == 3 and not fields[0].isdecimal():  # path,label,votes,votes against
        fields = fields[:1]
    label, numbers = fields[-1], fields[:-1]
    if not label:
        raise InvalidRowError(f"{line!r} has no label")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise InvalidRowError(f"{line!r} is not path [[offset] frames] label")
    span = None
    if len(numbers) == 2:
        offset, frames = map(int, numbers)
        span = make_span(float(offset), float(offset + frames), "frames")
    return Row(where, (path,), label, span=span)


def _table_reader(
    file: Path, header: Sequence[str], columns: Columns, multi_label: bool
) -> "Make | None":
    """The reader of one row of a table with these columns; None if they are no table's.

    Raises:
        UserError: it is a table of videos, and no column names their classes.
    """
    if {"youtube_id", "time_start", "time_end"} <= {*header}:
        return _kinetics
    if {"narration_id", "video_id", "start_timestamp"} <= {*header}:
        return lambda where, row: _epic(where, row, columns)
    if {"id", "actions", "length"} <= {*header}:
        return _charades_video if multi_label else _charades
    if not _columns_of("path", columns) & {*header} or any(map(_NAMED.fullmatch, header)):
        return None
    if len(header) > 1 and not _columns_of("label", columns) & {*header}:
        raise UserError(
            f"{file}: has no column {columns.get('label', 'label')!r} (there are: "
            f"{', '.join(header)}); name that of the class with the key columns, as in "
            "columns: {label: activity}"
        )
    return lambda where, row: _table(where, row, columns)


def _columns_of(name: str, columns: Columns) -> set[str]:
    """What a column may be called, in lower case."""
    wanted = columns.get(name, ALIASES[name])
    return {wanted.lower()} if isinstance(wanted, str) else {name.lower() for name in wanted}


def _table(where: str, row: Mapping[str, str], columns: Columns) -> Row:
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


def _kinetics(where: str, row: Mapping[str, str]) -> Row:
    """Kinetics-400, -600, -700: label, youtube_id, time_start, time_end, split.

    Files of clips are named `{id}_{start:06d}_{end:06d}`; one named by the id is a whole video.
    """
    label, name = row.get("label", ""), row["youtube_id"]
    if not label:
        raise InvalidRowError("column label: there is none")
    span = make_span(
        seconds(row["time_start"], "time_start"), seconds(row["time_end"], "time_end"), "s"
    )
    start, end = int(span.start), int(span.end)
    trimmed = (f"{name}_{start:06d}_{end:06d}", f"{name}_{start}_{end}")
    return Row(where, (name,), label, row.get("split", ""), name, "", span, trimmed)


def _epic(where: str, row: Mapping[str, str], columns: Columns) -> Row:
    """EPIC-Kitchens-100; the class is `verb_class`, unless `columns` names another or several."""
    mapped = {
        "path": "video_id",
        "label": columns.get("label", "verb_class"),
        "id": "narration_id",
        "start": "start_timestamp",
        "end": "stop_timestamp",
        "group": columns.get("group", "video_id"),
    }
    if "start_frame" in columns:  # numbers of the frames' files, which begin with 1
        del mapped["start"], mapped["end"]
        mapped |= {"start_frame": "start_frame", "end_frame": "stop_frame"}
        row = {**row, "start_frame": str(int(row["start_frame"]) - 1)}
    return _table(where, row, mapped)


def _charades(where: str, row: Mapping[str, str]) -> list[Row]:
    """Charades: `actions` holds "c092 11.90 21.20;c147 0.00 12.60"; each is a clip."""
    rows = []
    for action in filter(None, row["actions"].split(";")):
        fields = action.split()
        if len(fields) != 3:
            raise InvalidRowError(f"column actions: {action!r} is not 'class start end'")
        code, start, end = fields
        span = make_span(seconds(start, "actions"), seconds(end, "actions"), "s")
        name = f"{row['id']}#{code}#{start}-{end}"
        rows.append(Row(where, (row["id"],), code, "", row.get("subject", ""), name, span))
    return rows


def _charades_video(where: str, row: Mapping[str, str]) -> Row:
    """A video of Charades with all classes of its actions."""
    codes = dict.fromkeys(action.split()[0] for action in row["actions"].split(";") if action)
    if not codes:
        raise InvalidRowError("column actions: there is none")
    return Row(where, (row["id"],), "|".join(codes), "", row.get("subject", ""))


def _from_json(file: Path, text: str, columns: Columns, problems: list[str]) -> list[Row]:
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) > 1 and _is_object(lines[0][1]):  # JSON Lines
        rows = (
            (n, lambda where, line: _json_row(where, json.loads(line), columns), line)
            for n, line in lines
        )
        return list(_valid(file, rows, problems))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: is no JSON ({error}); restore the file") from None
    entries: Iterable[tuple[int | str, Make, Any]]
    if isinstance(content, dict) and isinstance(content.get("database"), dict):
        entries = ((key, _activitynet, (key, entry)) for key, entry in content["database"].items())
    elif isinstance(content, list) and all(isinstance(entry, dict) for entry in content):
        entries = (
            (f"entry {n}", lambda where, entry: _json_row(where, entry, columns), entry)
            for n, entry in enumerate(content, start=1)
        )
    else:
        raise UserError(
            f"{file}: this JSON is no list of videos; known are a list of objects with path and "
            "label, and the files of Something-Something, Diving48 and ActivityNet"
        )
    return list(_valid(file, entries, problems))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _json_row(where: str, entry: Mapping, columns: Columns) -> Row:
    row = {
        key.lower(): "|".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in entry.items()
        if value is not None
    }
    if "vid_name" in row:  # Diving48: the files hold the dive alone
        return _table(where, {"path": row["vid_name"], "label": row.get("label", "")}, {})
    if "template" in row:  # Something-Something: the class is the template without its brackets
        row["label"] = row["template"].replace("[", "").replace("]", "")
        return _table(where, {"path": row["id"], "label": row["label"]}, {})
    if "path" not in row and "id" in row and "path" not in columns:
        return _table(where, {"path": row["id"], **row}, columns)
    return _table(where, row, columns)


def _activitynet(where: str, named: tuple[str, Mapping]) -> list[Row]:
    """ActivityNet and THUMOS14: `database` -> subset, annotations -> segment in seconds, label."""
    name, entry = named
    rows = []
    for annotation in entry.get("annotations", ()):
        try:
            start, end = map(float, annotation["segment"])
            label = str(annotation["label"])
        except (KeyError, TypeError, ValueError):
            raise InvalidRowError(f"{annotation!r} has no segment and label") from None
        span = make_span(start, end, "s")
        paths = (f"v_{name}", name)
        rows.append(Row(where, paths, label, str(entry.get("subset", "")), span=span))
    return rows
