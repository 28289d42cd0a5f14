"""The videos that could not be used, by name and reason."""

import csv
import logging
from dataclasses import dataclass
from pathlib import Path

from tsn.data.index import Video, open_text
from tsn.data.shard_set import ShardSet
from tsn.errors import UserError
from tsn.files import atomic_path

COLUMNS = ("id", "stream", "status", "message")
logger = logging.getLogger("tsn")


@dataclass(frozen=True)
class Quarantined:
    """One video of one stream that could not be used."""

    id: str
    stream: str
    status: str
    message: str


def check_stream(path: Path | str, shards: ShardSet, videos: list[Video], limit: int) -> None:
    """Write the quarantine list of one stream.

    Raises:
        UserError: if more than `limit` videos are on it (the list is in the message), or no shard
            knows a video of the index.
    """
    bad = [
        Quarantined(video.id, shards.stream, shards.videos[video.id].status, shards.videos[video.id].message)
        for video in videos
        if not shards.usable(video.id)
    ]
    if len(bad) > limit:
        missing = sum(entry.status == "missing" for entry in bad)
        hint = (
            f"{missing} are not on disk: set data.missing: exclude to work on a subset; otherwise "
            if missing
            else ""
        )
        listing = "\n".join(f"  {entry.id}: {entry.status}: {entry.message}" for entry in bad)
        logger.info("quarantined in the %s stream:\n%s", shards.stream, listing)
        raise UserError(
            f"{len(bad)} videos are quarantined in the {shards.stream} stream, data.max_quarantined "
            f"allows {limit}; {hint}mend them (they are listed above) or raise the limit"
        )
    write_quarantine(path, bad)


def write_quarantine(path: Path | str, entries: list[Quarantined]) -> None:
    """Write `quarantine.tsv`: id, stream, status, message."""
    with atomic_path(path) as temporary, open_text(temporary, "w") as file:
        writer = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows((e.id, e.stream, e.status, e.message) for e in entries)


def read_quarantine(path: Path | str) -> list[Quarantined]:
    """The rows of `quarantine.tsv`."""
    with open_text(Path(path)) as file:
        return [Quarantined(**row) for row in csv.DictReader(file, dialect="excel-tab")]


def merge_streams(path: Path | str, lists: list[Path | str]) -> None:
    """One list for the data set: every quarantined video once, with all streams that miss it."""
    merged: dict[str, Quarantined] = {}
    for entry in (entry for file in lists for entry in read_quarantine(file)):
        known = merged.get(entry.id)
        streams = f"{known.stream},{entry.stream}" if known else entry.stream
        first = known or entry
        merged[entry.id] = Quarantined(entry.id, streams, first.status, first.message)
    write_quarantine(path, [merged[name] for name in sorted(merged)])
