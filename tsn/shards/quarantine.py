"""Quarantine lists: videos that could not be used, and why."""

import logging
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv, write_tsv
from tsn.shards.store import ShardSet

COLUMNS = ("id", "stream", "status", "message")
MUCH_CLIPPED = 0.01
"""Mean fraction of clipped flow above which a warning is given."""

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
        UserError: if more than `limit` videos are on it (the list is logged), or no shard knows a
            video of the index.
    """
    bad = [
        Quarantined(video.id, shards.stream, why.status, why.message)
        for video in videos
        if (why := shards.quarantined(video.id)) is not None
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
            f"{len(bad)} videos are quarantined in the {shards.stream} stream, "
            f"data.max_quarantined allows {limit}; {hint}mend them (they are listed in the log) "
            "or raise the limit"
        )
    _warn_of_clipping(shards, videos)
    write_quarantine(path, bad)


def _warn_of_clipping(shards: ShardSet, videos: list[Video]) -> None:
    clipped = {v.id: shards.clipped(v.id) for v in videos if shards.usable(v.id)}
    if clipped and (mean := fmean(clipped.values())) > MUCH_CLIPPED:
        worst = max(clipped, key=lambda video: clipped[video])
        logger.warning(
            "%.1f %% of the %s is beyond flow.bound and was clipped, most of all in %s (%.1f %%); "
            "a larger bound would keep it",
            100 * mean,
            shards.stream,
            worst,
            100 * clipped[worst],
        )


def write_quarantine(path: Path | str, entries: list[Quarantined]) -> None:
    """Write `quarantine.tsv`: id, stream, status, message."""
    write_tsv(path, COLUMNS, ((e.id, e.stream, e.status, e.message) for e in entries))


def read_quarantine(path: Path | str) -> list[Quarantined]:
    """The entries of `quarantine.tsv`."""
    return [Quarantined(**row) for row in read_tsv(path)[1]]


def merge_streams(path: Path | str, lists: list[Path | str]) -> None:
    """One list for the data set: every quarantined video once, with all streams that lack it."""
    merged: dict[str, Quarantined] = {}
    for entry in (entry for file in lists for entry in read_quarantine(file)):
        known = merged.get(entry.id)
        streams = f"{known.stream},{entry.stream}" if known else entry.stream
        first = known or entry
        merged[entry.id] = Quarantined(entry.id, streams, first.status, first.message)
    write_quarantine(path, [merged[name] for name in sorted(merged)])
