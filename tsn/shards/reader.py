"""The rows of a shard by their place in the file: what a loader reads, again and again."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers Zstandard, and Blosc2 for older shards
import numpy as np

from tsn.runtime.errors import UserError
from tsn.shards.hdf5 import DAMAGE
from tsn.shards.jpeg import decode_jpeg

CHUNK_CACHE = 1 << 18
"""Bytes that HDF5 keeps of each array of an open file. A loader jumps about and finds nothing in it
again; the default of 8 MiB would add up over a process's open files."""


def open_shard(path: Path) -> h5py.File:
    """Open a shard for reading.

    Raises:
        UserError: if it is absent or damaged.
    """
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=CHUNK_CACHE)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such shard; run the stage that makes it") from None
    except DAMAGE as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> UserError:
    """What to say of a damaged shard."""
    return UserError(
        f"{path}: damaged on disk ({error}); remove it, and the command that made it makes it again"
    )


class ShardRows:
    """Reads rows of an open shard without its table of videos; nothing of it stays in memory."""

    def __init__(self, file: h5py.File, path: Path):
        self._file, self._path = file, path
        try:
            self._flow = file.get("flow")
            if self._flow is None:
                self._jpeg, self._offsets = file["jpeg"], file["offsets"]
                self._size = tuple(int(side) for side in file.attrs["size"])
                self._empty = np.empty((0, *self._size[::-1], 3), np.uint8)
            else:
                self._empty = np.empty((0, *self._flow.shape[1:]), np.uint8)
        except DAMAGE as error:
            raise damaged(path, error) from None

    def read(self, rows: Sequence[int]) -> np.ndarray:
        """Rows numbered from 0 in the file; one may be asked for more than once.

        Returns:
            uint8 (n, H, W, 3) RGB for the stream "rgb", (n, 2, H, W) for flow.

        Raises:
            UserError: if the shard is damaged on disk.
        """
        if not len(rows):
            return self._empty
        first, count = rows[0], len(rows)
        try:
            if count == 1:
                return self._row(first)[None]
            if self._flow is not None and list(rows) == list(range(first, first + count)):
                return self._flow[first : first + count]  # one read, no copy
            unique = {row: self._row(row) for row in set(rows)}
        except DAMAGE as error:
            raise damaged(self._path, error) from None
        return np.stack([unique[row] for row in rows])

    def _row(self, row: int) -> np.ndarray:
        if self._flow is not None:
            return self._flow[row]
        start, stop = self._offsets[row : row + 2]
        return decode_jpeg(self._jpeg[start:stop], self._size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
