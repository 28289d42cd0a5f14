"""A shard's claims about itself, checked before any of them is used: it may be a stranger's."""

from collections.abc import Iterable

import h5py
import numpy as np

from tsn.shards.hdf5 import own_dataset, read_all

MAX_SIDE = 16384
"""Pixels of a row's side: the most that frames.size allows in the configuration."""


def check_rows(
    file: h5py.File, stream: str, size: tuple[int, ...], spans: Iterable[tuple[int, int]]
) -> None:
    """Check that the rows are where they should be and as large as they should be.

    Args:
        file: the open shard.
        stream: what it says it holds.
        size: (width, height) that it says its rows have.
        spans: first row and number of rows of every video.

    Raises:
        KeyError, ValueError: if something contradicts something else.
    """
    if len(size) != 2 or not 0 < min(size) <= max(size) <= MAX_SIDE:
        raise ValueError(f"no rows have the size {size}")
    rows = _count_jpegs(file) if stream == "rgb" else _count_fields(file, *size)
    for first, count in spans:
        if not 0 <= first <= first + count <= rows:
            raise ValueError(f"rows {first}…{first + count} of {rows}")


def _count_jpegs(file: h5py.File) -> int:
    if "flow" in file:
        raise ValueError("both frames and flow")
    data, offsets = own_dataset(file, "jpeg"), read_all(file, "offsets")
    if data.dtype != np.uint8 or data.ndim != 1 or data.chunks[0] > 1 << 20:
        raise ValueError("'jpeg' is not a row of bytes")
    if offsets.dtype != np.int64 or offsets.ndim != 1 or not len(offsets):
        raise ValueError("'offsets' are not positions")
    if offsets[0] < 0 or np.any(np.diff(offsets) < 0) or offsets[-1] > len(data):
        raise ValueError("'offsets' lead out of the data")
    return len(offsets) - 1


def _count_fields(file: h5py.File, width: int, height: int) -> int:
    data = own_dataset(file, "flow")
    row = (2, height, width)
    if data.dtype != np.uint8 or data.shape[1:] != row or data.chunks != (1, *row):
        raise ValueError(f"'flow' is not made of fields of {width}x{height} pixels")
    return len(data)
