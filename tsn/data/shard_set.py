"""All shards of one stream, as one store of videos by id."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tsn.data.shards import Shard, VideoRows
from tsn.errors import UserError


class ShardSet:
    """Reads rows of any video of a stream.

    It may be copied into worker processes: each opens the files for itself when it first reads.

    Attributes:
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) of the rows in pixels.
        fingerprint: what made the rows, the same for all shards.
        videos: `VideoRows` by id, usable and quarantined ones.

    Raises:
        UserError: if a shard is absent or damaged, or they were made differently.
    """

    def __init__(self, paths: Iterable[Path | str]):
        self._path_of: dict[str, Path] = {}
        self._open: dict[Path, Shard] = {}
        self._pid = os.getpid()
        self.videos: dict[str, VideoRows] = {}
        shards = [Shard(path) for path in paths]
        try:
            self.fingerprint = fingerprint_of(shards)
            self.stream, self.size = shards[0].stream, shards[0].size
            for shard in shards:
                self.videos.update(shard.videos)
                self._path_of.update(dict.fromkeys(shard.videos, shard.path))
        finally:
            for shard in shards:
                shard.close()

    def usable(self, video_id: str) -> bool:
        """Whether a video has rows.

        Raises:
            UserError: if no shard knows the video.
        """
        return self._find(video_id).ok

    def rows(self, video_id: str) -> int:
        """How many rows a video has."""
        return self._find(video_id).rows

    def read(self, video_id: str, rows: Iterable[int]) -> np.ndarray:
        """Rows of a video with channels last: uint8 (n, H, W, 3) RGB or (n, H, W, 2) flow."""
        video = self._find(video_id)
        values = self._shard(self._path_of[video_id]).read(video, rows)
        return values if self.stream == "rgb" else values.transpose(0, 2, 3, 1)

    def _find(self, video_id: str) -> VideoRows:
        if video_id not in self.videos:
            raise UserError(
                f"{video_id}: no {self.stream} shard holds this video; run the pipeline again"
            )
        return self.videos[video_id]

    def _shard(self, path: Path) -> Shard:
        if self._pid != os.getpid():  # a forked worker: handles of the parent are not ours to use
            self._open, self._pid = {}, os.getpid()
        if path not in self._open:
            self._open[path] = Shard(path)
        return self._open[path]

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_open": {}}


def fingerprint_of(shards: Iterable[Shard]) -> dict:
    """The one fingerprint of several shards.

    Raises:
        UserError: if they were made differently, naming two of them and what differs.
    """
    first = None
    for shard in shards:
        first = first or shard
        if shard.fingerprint != first.fingerprint:
            key = differing_key(shard.fingerprint, first.fingerprint)
            raise UserError(
                f"{shard.path} was made with {key} = {shard.fingerprint.get(key)!r}, "
                f"{first.path} with {first.fingerprint.get(key)!r}; "
                "make the shards of a stream with one engine and one setting"
            )
    if first is None:
        raise UserError("no shard was given")
    return first.fingerprint


def differing_key(one: dict, other: dict) -> str:
    """The first key, in alphabetical order, that two unequal fingerprints do not agree on."""
    return next(key for key in sorted({**one, **other}) if one.get(key) != other.get(key))
