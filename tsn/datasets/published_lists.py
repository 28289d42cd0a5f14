"""Rows of the annotation files of published data sets, as they are downloaded."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tsn.datasets.rows import (
    Columns,
    InvalidRowError,
    Row,
    make_span,
    seconds,
    table_row,
    valid_rows,
)


def kinetics(where: str, row: Mapping[str, str]) -> Row:
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


def epic_kitchens(where: str, row: Mapping[str, str], columns: Columns) -> Row:
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
    return table_row(where, row, mapped)


def charades_clips(where: str, row: Mapping[str, str]) -> list[Row]:
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


def charades_video(where: str, row: Mapping[str, str]) -> Row:
    """A video of Charades with all classes of its actions."""
    codes = dict.fromkeys(action.split()[0] for action in row["actions"].split(";") if action)
    if not codes:
        raise InvalidRowError("column actions: there is none")
    return Row(where, (row["id"],), "|".join(codes), "", row.get("subject", ""))


def activitynet(where: str, named: tuple[str, Mapping]) -> list[Row]:
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


THUMOS_FILE = re.compile(r"(\w+)_(val|test)\.txt")


THUMOS_ROW = re.compile(r"(video_(?:validation|test)_\d{7})\s+(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)")


def thumos(
    file: Path, lines: Iterable[tuple[int, str]], label: str, part: str, problems: list[str]
) -> list[Row]:
    """THUMOS14's own files, one a class: `video start end` in seconds; none of `Ambiguous`."""

    def row(where: str, line: str) -> Row:
        found = THUMOS_ROW.fullmatch(line)
        if not found:
            raise InvalidRowError(f"{line!r} is not video start end")
        span = make_span(float(found[2]), float(found[3]), "s")
        return Row(where, (found[1],), label, part, span=span)

    if label == "Ambiguous":
        return []
    return list(valid_rows(file, ((n, row, line) for n, line in lines), problems))


def json_row(where: str, entry: Mapping, columns: Columns) -> Row:
    """An object of Diving48's or Something-Something's list, or one with the columns of a table."""
    row = {
        key.lower(): "|".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in entry.items()
        if value is not None
    }
    if "vid_name" in row:  # Diving48: the files hold the dive alone
        return table_row(where, {"path": row["vid_name"], "label": row.get("label", "")}, {})
    if "template" in row:  # Something-Something: the class is the template without its brackets
        row["label"] = row["template"].replace("[", "").replace("]", "")
        return table_row(where, {"path": row["id"], "label": row["label"]}, {})
    if "path" not in row and "id" in row and "path" not in columns:
        return table_row(where, {"path": row["id"], **row}, columns)
    return table_row(where, row, columns)
