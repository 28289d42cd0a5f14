"""Read frames and flow fields of a shard by their position in the file."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  registers Zstandard, and Blosc2 for older shards
import numpy as np

from tsn.runtime.errors import UserError
from tsn.shards.hdf5 import DAMAGE, own_dataset, read_all
from tsn.shards.jpeg import decode_jpeg
from tsn.video import MAX_SIDE, FrameSize, Size

CHUNK_CACHE = 1 << 18
"""Bytes of HDF5's chunk cache for each array of an open file. Random access hardly ever hits it;
the default of 8 MiB would add up over a process's open files."""


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
    """The error for a damaged shard."""
    return UserError(
        f"{path}: damaged on disk ({error}); remove it, and the command that made it makes it again"
    )


def flow_name(size: Size, of_shard: FrameSize) -> str:
    """Name of the array with the flow fields of a size."""
    return "flow_{}x{}".format(*size) if isinstance(of_shard, int) else "flow"


def check_contents(
    file: h5py.File, stream: str, size: FrameSize, videos: Iterable[tuple[int, int, Size]]
) -> None:
    """Check that a shard holds what it claims before it is used: it may be a stranger's.

    Args:
        file: the open shard.
        stream: what it says it holds.
        size: (width, height) that it says it has, or the shorter side.
        videos: start, length and size of every video.

    Raises:
        KeyError, ValueError: something contradicts something else.
    """
    videos = [(start, length, own) for start, length, own in videos if length or own == size]
    sizes = {own for _, _, own in videos} if isinstance(size, int) else {size}
    for width, height in sizes:
        if not 0 < min(width, height) <= max(width, height) <= MAX_SIDE:
            raise ValueError(f"nothing has the size {width}x{height}")
    if stream == "rgb":
        totals = dict.fromkeys(sizes, _count_jpegs(file))
    else:
        totals = {own: _count_fields(file, own, size) for own in sizes}
    for start, length, own in videos:
        if not 0 <= start <= start + length <= totals[own]:
            raise ValueError(f"{start}…{start + length} of {totals[own]}")


def _count_jpegs(file: h5py.File) -> int:
    if "flow" in file:
        raise ValueError("both frames and flow")
    data, offsets = own_dataset(file, "jpeg"), read_all(file, "offsets")
    if data.dtype != np.uint8 or data.ndim != 1 or data.chunks[0] > 1 << 20:
        raise ValueError("'jpeg' is not a sequence of bytes")
    if offsets.dtype != np.int64 or offsets.ndim != 1 or not len(offsets):
        raise ValueError("'offsets' are not positions")
    if offsets[0] < 0 or np.any(np.diff(offsets) < 0) or offsets[-1] > len(data):
        raise ValueError("'offsets' lead out of the data")
    return len(offsets) - 1


def _count_fields(file: h5py.File, size: Size, of_shard: FrameSize) -> int:
    data = own_dataset(file, flow_name(size, of_shard))
    width, height = size
    field = (2, height, width)
    if data.dtype != np.uint8 or data.shape[1:] != field or data.chunks != (1, *field):
        raise ValueError(f"'flow' does not hold fields of {width}x{height} pixels")
    return len(data)


class ShardReader:
    """Reads frames or flow fields of an open shard, without its table of videos."""

    def __init__(self, file: h5py.File, path: Path):
        self._file, self._path = file, path
        self._flow: dict[Size, h5py.Dataset] = {}
        try:
            self._is_flow = "jpeg" not in file
            self._several_sizes = "short_side" in file.attrs
            if not self._is_flow:
                self._jpeg, self._offsets = file["jpeg"], file["offsets"]
        except DAMAGE as error:
            raise damaged(path, error) from None

    def read(self, indices: Sequence[int], size: Size) -> np.ndarray:
        """Frames or flow fields by position, from 0 in the file; positions may repeat.

        Args:
            indices: positions; where a shard holds several sizes, among flow fields of this size.
            size: (width, height) that they have.

        Returns:
            uint8 (n, H, W, 3) RGB for the stream "rgb", (n, 2, H, W) for flow.

        Raises:
            UserError: if the shard is damaged on disk.
        """
        width, height = size
        if not len(indices):
            shape = (2, height, width) if self._is_flow else (height, width, 3)
            return np.empty((0, *shape), np.uint8)
        first, count = indices[0], len(indices)
        try:
            if count == 1:
                return self._read_one(first, size)[None]
            if self._is_flow and list(indices) == list(range(first, first + count)):
                return self._flow_of(size)[first : first + count]  # one read, no copy
            unique = {index: self._read_one(index, size) for index in set(indices)}
        except DAMAGE as error:
            raise damaged(self._path, error) from None
        return np.stack([unique[index] for index in indices])

    def _flow_of(self, size: Size) -> h5py.Dataset:
        if size not in self._flow:
            name = flow_name(size, min(size) if self._several_sizes else size)
            self._flow[size] = self._file[name]
        return self._flow[size]

    def jpeg(self, index: int) -> np.ndarray:
        """The bytes of a frame by its position, uint8 (n,).

        Raises:
            UserError: if the shard is damaged on disk.
        """
        try:
            return self._read_jpeg(index)
        except DAMAGE as error:
            raise damaged(self._path, error) from None

    def _read_one(self, index: int, size: Size) -> np.ndarray:
        if self._is_flow:
            return self._flow_of(size)[index]
        return decode_jpeg(self._read_jpeg(index), size)

    def _read_jpeg(self, index: int) -> np.ndarray:
        start, stop = self._offsets[index : index + 2]
        return self._jpeg[start:stop]

    def close(self) -> None:
        """Close the file."""
        self._file.close()
