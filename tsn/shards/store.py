"""All shards of one stream, as one store of videos by id."""

import os
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

import numpy as np

from tsn.runtime.errors import UserError
from tsn.shards.format import Shard, VideoRows
from tsn.shards.reader import ShardRows, open_shard

OPEN_FILES = 64
"""Files that a process keeps open: opening one takes a millisecond, holding it a megabyte."""


class ShardSet:
    """Reads rows of any video of a stream.

    What it knows of the videos lies in arrays, beside a table from ids to places in them: 400 bytes
    a video in all. Forked worker processes share the arrays with their parent; each opens the files
    for itself when it first reads. Threads take turns.

    Attributes:
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) of the rows in pixels.
        fingerprint: what made the rows, the same for all shards.

    Raises:
        UserError: if a shard is absent or damaged, or they were made differently.
    """

    def __init__(self, paths: Iterable[Path | str]):
        self._paths = [Path(path) for path in paths]
        self._open: OrderedDict[int, ShardRows] = OrderedDict()
        self._pid, self._turn = os.getpid(), Lock()
        self._number: dict[str, int] = {}
        places: list[tuple[int, int, int, bool]] = []
        self._bad: dict[str, VideoRows] = {}
        first = None
        for at, path in enumerate(self._paths):
            with Shard(path) as shard:
                first = first or shard
                _check_alike(shard, first)
                for video in shard.videos.values():
                    self._number[video.id] = len(places)
                    places.append((at, video.first_row, video.rows, video.ok))
                    if not video.ok:
                        self._bad[video.id] = video
        if first is None:
            raise UserError("no shard was given")
        self.stream, self.size, self.fingerprint = first.stream, first.size, first.fingerprint
        self._shard, self._first, self._rows, self._ok = (
            np.array(column, kind)
            for column, kind in zip(zip(*places, strict=True), (int, int, int, bool), strict=True)
        )

    def usable(self, video_id: str) -> bool:
        """Whether a video has rows.

        Raises:
            UserError: if no shard knows the video.
        """
        return bool(self._ok[self.number(video_id)])

    def quarantined(self, video_id: str) -> VideoRows | None:
        """Why a video is not usable; None if it is.

        Raises:
            UserError: if no shard knows the video.
        """
        return None if self.usable(video_id) else self._bad[video_id]

    def rows(self, video_id: str) -> int:
        """How many rows a video has."""
        return self.rows_at(self.number(video_id))

    def read(self, video_id: str, rows: Iterable[int]) -> np.ndarray:
        """Rows of a video with channels last: uint8 (n, H, W, 3) RGB or (n, H, W, 2) flow."""
        values = self.read_at(self.number(video_id), rows)
        return values if self.stream == "rgb" else values.transpose(0, 2, 3, 1)

    def number(self, video_id: str) -> int:
        """The number of a video, by which it is found without its name."""
        if video_id not in self._number:
            raise UserError(
                f"{video_id}: no {self.stream} shard holds this video; run the pipeline again"
            )
        return self._number[video_id]

    def rows_at(self, number: int) -> int:
        """`rows` of the video with a number."""
        return int(self._rows[number])

    def read_at(self, number: int, rows: Iterable[int]) -> np.ndarray:
        """Rows of the video with a number, as they are stored.

        Returns:
            uint8 (n, H, W, 3) RGB or (n, 2, H, W) flow.

        Raises:
            IndexError: if a row is outside the video.
            UserError: if the shard is damaged on disk.
        """
        rows, count = list(rows), self.rows_at(number)
        if rows and not 0 <= min(rows) <= max(rows) < count:
            raise IndexError(f"rows {min(rows)}…{max(rows)} of a video with {count}")
        first = int(self._first[number])
        if self._pid != os.getpid():  # a forked worker: handles of the parent are not ours to use
            self._open, self._pid, self._turn = OrderedDict(), os.getpid(), Lock()
        with self._turn:
            return self._file(int(self._shard[number])).read([first + row for row in rows])

    def _file(self, at: int) -> ShardRows:
        if at not in self._open:
            if len(self._open) == OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = open_shard(self._paths[at])
            if hasattr(os, "posix_fadvise"):  # a loader jumps about: nothing is worth reading ahead
                os.posix_fadvise(file.id.get_vfd_handle(), 0, 0, os.POSIX_FADV_RANDOM)
            self._open[at] = ShardRows(file, self._paths[at])
        self._open.move_to_end(at)
        return self._open[at]

    def __getstate__(self) -> dict:
        """Without what belongs to this process; the first read makes it, as in a forked worker."""
        return {**self.__dict__, "_open": None, "_turn": None, "_pid": None}


def _check_alike(shard: Shard, first: Shard) -> None:
    """Raise UserError if two shards were made differently, naming them and what differs."""
    if shard.fingerprint != first.fingerprint:
        key = differing_key(shard.fingerprint, first.fingerprint)
        raise UserError(
            f"{shard.path} was made with {key} = {shard.fingerprint.get(key)!r}, "
            f"{first.path} with {first.fingerprint.get(key)!r}; "
            "make the shards of a stream with one engine and one setting"
        )


def differing_key(one: dict, other: dict) -> str:
    """The first key, in alphabetical order, that two unequal fingerprints do not agree on."""
    return next(key for key in sorted({**one, **other}) if one.get(key) != other.get(key))
