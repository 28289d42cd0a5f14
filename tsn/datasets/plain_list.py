"""Lines of plain lists: `path label`, with numbers between them or none."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from tsn.datasets.rows import ALIASES, InvalidRowError, Row, is_comment, make_span
from tsn.datasets.scan import VIDEO_SUFFIXES

_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(VIDEO_SUFFIXES, key=len, reverse=True))


VIDEO_AND_REST = re.compile(rf"\"?(.+(?:{_SUFFIX}))\"?(?:[\s,;]+(\S.*))?", re.IGNORECASE)


_OTHER_COLUMNS = {"frames", "num_frames", "n_frames", "total_frames", "fps", "duration", "url"}
"""What lists call columns that are not read."""


def split_line(line: str) -> tuple[str, list[str]]:
    """Path and further fields of a line of a plain list.

    The path ends where an ending of a video does, and may hold spaces; one without such an ending
    goes up to the numbers at the end of the line, or else to the first separator.
    """
    named = VIDEO_AND_REST.fullmatch(line)
    if named:
        path, rest = named[1], named[2] or ""
    elif re.search(r"[\t,;]", line):
        path, rest = (part.strip() for part in re.split(r"[\t,;]", line, maxsplit=1))
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


def plain_row(where: str, line: str) -> Row:
    """`path label`, `path frames label`, `path offset frames label`, or Moments in Time's row."""
    path, fields = split_line(line)
    if not fields:
        raise InvalidRowError(f"{line!r} has no label")
    # path,label,votes,votes against: there are more of the former. Numbers that rise may be times.
    votes = len(fields) == 3 and [field.isdecimal() for field in fields] == [False, True, True]
    if votes and int(fields[1]) >= int(fields[2]):
        fields = fields[:1]
    label, numbers = fields[-1], fields[:-1]
    if not label:
        raise InvalidRowError(f"{line!r} has no label")
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise InvalidRowError(
            f"{line!r} is not path [[offset] frames] label; a table with other columns "
            "wants a header, such as path,label,start,end"
        )
    span = None
    if len(numbers) == 2:
        offset, frames = map(int, numbers)
        span = make_span(float(offset), float(offset + frames), "frames")
    return Row(where, (path,), label, span=span)


def without_header(
    file: Path, lines: Sequence[tuple[int, str]], problems: list[str]
) -> Iterator[tuple[int, str]]:
    """Lines of a plain list without comments, and without a header of unknown columns."""
    rows = []
    for number, line in lines:
        if not is_comment(line):
            rows.append((number, line))
        elif VIDEO_AND_REST.fullmatch(line) and not line.startswith("# "):
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
    if VIDEO_AND_REST.fullmatch(line) or not (path_and_label := split_line(line)[1]) or not rows:
        return False
    labels = {fields[-1] for row in rows if (fields := split_line(row)[1])}
    label = path_and_label[-1]
    numbers = all(map(str.isdecimal, labels)) and not label.isdecimal()
    return numbers or (all(map(VIDEO_AND_REST.fullmatch, rows)) and label not in labels)
