"""HDF5 files that are whole, and that cannot lead outside themselves.

Chunks, attributes and HDF5's own structures are under checksums that are checked when they are
read. A seal covers the whole file besides: its SHA-256 stands in front of it, in the "user block"
that HDF5 leaves alone, so that a file is checked at the speed of the disk, nothing decompressed.
"""

import hashlib
from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path

import h5py
import numpy as np

from tsn.runtime.errors import UserError

WITH_CHECKSUMS = {"locking": False, "libver": ("v110", "v110")}
"""HDF5 1.10's format has checksums over attributes and the index of the chunks; older have none."""

SEAL_SIZE = 512
"""Bytes of the smallest user block: HDF5 format specification, section II.A (superblock)."""

SEALED = {**WITH_CHECKSUMS, "userblock_size": SEAL_SIZE}
"""How to create a file that `seal` is to be called on."""

DAMAGE = (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError)
"""What h5py raises over a damaged file, and what strange contents lead to."""

_MARK = b"tsn sha256 "


def seal(path: Path | str) -> None:
    """Write the checksum of a closed file, created with `SEALED`, in front of it."""
    with Path(path).open("r+b") as file:
        mark = _MARK + _digest(file)
        file.seek(0)
        file.write(mark)


def check_whole(paths: Iterable[Path | str]) -> None:
    """Compare files with their seals.

    Raises:
        UserError: if some are damaged or absent, naming all of them.
    """
    damaged = [str(path) for path in paths if not _is_whole(Path(path))]
    if damaged:
        raise UserError(
            f"{', '.join(damaged)}: damaged on disk, or made by another version; "
            f"python -m tsn.verify {Path(damaged[0]).parents[2]} --remove deletes what is damaged, "
            "and the command that made it makes it again"
        )


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(SEAL_SIZE).rstrip(b"\0") == _MARK + _digest(file)
    except OSError:
        return False


def _digest(file: BufferedIOBase) -> bytes:
    file.seek(SEAL_SIZE)
    return hashlib.file_digest(file, "sha256").hexdigest().encode()


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """A data set whose numbers lie in this very file.

    HDF5 can also show parts of other files, by links, as external storage or as virtual data sets:
    a file from a stranger could make us read whatever it names.

    Raises:
        KeyError: if there is none of this name.
        ValueError: if it is of another kind.
    """
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name!r} is not in the file but a link")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"{name!r} does not hold its numbers in the file")
    return dataset


def read_all(file: h5py.File, name: str) -> np.ndarray:
    """All numbers of an uncompressed data set of this file.

    Raises:
        KeyError, ValueError: as of `own_dataset`, or it claims to hold more than the file does.
    """
    dataset = own_dataset(file, name)
    if dataset.nbytes > dataset.id.get_storage_size():
        raise ValueError(f"{name!r} claims {dataset.nbytes} bytes and has less")
    return dataset[()]
