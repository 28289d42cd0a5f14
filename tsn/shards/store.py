"""All shards of one stream as one store of videos by id."""

import operator
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Lock

import numpy as np

from tsn.runtime.errors import UserError
from tsn.shards.format import Shard, StoredVideo
from tsn.shards.reader import ShardReader, open_shard
from tsn.video import Size

OPEN_FILES = 64
"""Files that a process keeps open: opening one takes a millisecond, holding it a megabyte."""


class ShardSet:
    """Reads frames or flow fields of any video of a stream.

    Metadata of the videos lies in arrays, beside a dictionary from ids to positions: 400 bytes a
    video in all. Forked worker processes share the arrays with their parent; each opens the files
    for itself when it first reads. Reads are serialised by a lock.

    Attributes:
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) in pixels, or the shorter side of frames of several sizes.
        fingerprint: what determines the frames or flow fields, the same for all shards.
        extra_frames: by which a video's frames outnumber its flow fields; 0 for rgb.

    Raises:
        UserError: if a shard is absent or damaged, they were made differently, or two of them hold
            one video.
    """

    def __init__(self, paths: Iterable[Path | str]):
        self._paths = [Path(path) for path in paths]
        self._open: OrderedDict[int, ShardReader] = OrderedDict()
        self._pid, self._lock = os.getpid(), Lock()
        self._number: dict[str, int] = {}
        entries: list[tuple[int, int, int, bool, int, int]] = []
        self._bad: dict[str, StoredVideo] = {}
        clipped: list[float] = []
        first = None
        for at, path in enumerate(self._paths):
            with Shard(path) as shard:
                first = first or shard
                _check_alike(shard, first)
                for video in shard.videos.values():
                    if video.id in self._number:
                        other = self._paths[entries[self._number[video.id]][0]]
                        raise UserError(
                            f"{other} and {path} both hold {video.id}; leave one out, or remove "
                            "the one that an earlier run has left"
                        )
                    self._number[video.id] = len(entries)
                    entries.append((at, video.start, video.length, video.ok, *video.size))
                    clipped.append(video.clipped)
                    if not video.ok:
                        self._bad[video.id] = video
        if first is None:
            raise UserError("no shard was given")
        self.stream, self.size, self.fingerprint = first.stream, first.size, first.fingerprint
        self.extra_frames = 0 if self.stream == "rgb" else self.fingerprint.get("step", 1)
        self._clipped = np.array(clipped)
        table = np.array(entries, np.int64)
        self._shard, self._start, self._length, self._ok, *self._sides = np.ascontiguousarray(
            table.T
        )

    def usable(self, video_id: str) -> bool:
        """Whether a video could be stored, i.e. is not quarantined.

        Raises:
            UserError: if no shard knows the video.
        """
        return bool(self._ok[self.number(video_id)])

    def quarantined(self, video_id: str) -> StoredVideo | None:
        """Why a video is not usable; None if it is.

        Raises:
            UserError: if no shard knows the video.
        """
        return None if self.usable(video_id) else self._bad[video_id]

    def clipped(self, video_id: str) -> float:
        """Fraction (0…1) of a video's flow values that are beyond the bound."""
        return float(self._clipped[self.number(video_id)])

    def length(self, video_id: str) -> int:
        """Number of frames or flow fields of a video."""
        return self.length_at(self.number(video_id))

    def read(self, video_id: str, indices: Iterable[int]) -> np.ndarray:
        """Frames or flow fields, channels last: uint8 (n, H, W, 3) RGB or (n, H, W, 2) flow."""
        values = self.read_at(self.number(video_id), indices)
        return values if self.stream == "rgb" else values.transpose(0, 2, 3, 1)

    def jpegs(self, video_id: str) -> Iterator[bytes]:
        """The frames of a video as they are stored."""
        number = self.number(video_id)
        for index in range(self.length_at(number)):
            with self._lock:
                file = self._file(int(self._shard[number]))
                data = file.jpeg(int(self._start[number]) + index)
            yield data.tobytes()

    def number(self, video_id: str) -> int:
        """Number of a video, for `length_at` and `read_at`."""
        if video_id not in self._number:
            raise UserError(
                f"{video_id}: no {self.stream} shard holds this video; run the pipeline again"
            )
        return self._number[video_id]

    def length_at(self, number: int) -> int:
        """`length` of the video with this number."""
        return int(self._length[number])

    def size_at(self, number: int) -> Size:
        """(width, height) of the frames or flow fields of the video with this number."""
        width, height = self._sides
        return int(width[number]), int(height[number])

    def read_at(self, number: int, indices: Iterable[int]) -> np.ndarray:
        """Frames or flow fields of the video with this number, as they are stored.

        Returns:
            uint8 (n, H, W, 3) RGB or (n, 2, H, W) flow.

        Raises:
            IndexError: if an index is outside the video.
            UserError: if the shard is damaged on disk.
        """
        indices, length = list(map(operator.index, indices)), self.length_at(number)
        if indices and not 0 <= min(indices) <= max(indices) < length:
            raise IndexError(f"{min(indices)}…{max(indices)} of a video with {length}")
        start = int(self._start[number])
        if self._pid != os.getpid():  # a forked worker: the handles are the parent's
            self._open, self._pid, self._lock = OrderedDict(), os.getpid(), Lock()
        with self._lock:
            file = self._file(int(self._shard[number]))
            return file.read([start + index for index in indices], self.size_at(number))

    def _file(self, at: int) -> ShardReader:
        if at not in self._open:
            if len(self._open) == OPEN_FILES:
                self._open.popitem(last=False)[1].close()
            file = open_shard(self._paths[at])
            if hasattr(os, "posix_fadvise"):  # random access: read-ahead would be wasted
                os.posix_fadvise(file.id.get_vfd_handle(), 0, 0, os.POSIX_FADV_RANDOM)
            self._open[at] = ShardReader(file, self._paths[at])
        self._open.move_to_end(at)
        return self._open[at]

    def __getstate__(self) -> dict:
        """State without handles and lock; the first read makes them anew, as in a forked worker."""
        return {**self.__dict__, "_open": None, "_lock": None, "_pid": None}


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
