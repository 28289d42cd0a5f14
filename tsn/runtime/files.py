"""Atomic writing of files and folders."""

import csv
import errno
import fcntl
import glob
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

from tsn.runtime.errors import DiskFullError, UserError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

_NAME = 40
"""Characters of a file's name in that of its temporary file, which then fits into the 255 bytes
that file systems allow, however long the name is."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """An empty temporary file beside `path`, renamed to it when the block ends well, else removed.

    The data are on disk before the rename, so a machine that dies leaves the old file or the new
    one, never half of one. Temporary files of writers that were killed are removed first; living
    writers hold a lock on theirs.

    Raises:
        UserError: the file cannot be written; before the block runs, unless the disk fills up
            (`DiskFullError`).
    """
    path = Path(path)
    with write_errors(path):
        target = _target(path, stat.S_ISREG)
        temporary = _temporary_name(target)
        lock = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        _lock(lock)
        with write_errors(path, temporary):
            yield temporary
        with write_errors(path):
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        os.close(lock)
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """The same for a folder: it replaces the old one with all that is in it."""
    path = Path(path)
    with write_errors(path):
        target = _target(path, stat.S_ISDIR)
        temporary, old = _temporary_name(target), _temporary_name(target)
        temporary.mkdir()
        lock = os.open(temporary, os.O_RDONLY)
    try:
        _lock(lock)
        with write_errors(path, temporary):
            yield temporary
        with write_errors(path):
            if target.is_dir():
                target.replace(old)
            temporary.replace(target)
    finally:
        os.close(lock)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _target(path: Path, is_kind: Callable[[int], bool]) -> Path:
    """The path itself, behind links. Its folder exists, and it is not something else already."""
    target = Path(os.path.realpath(path))
    with suppress(FileNotFoundError):
        if not is_kind(target.stat().st_mode):
            kind = "folder" if target.is_dir() else "file" if target.is_file() else "device"
            raise UserError(f"{path}: is a {kind}; give another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    for temporary in target.parent.glob(f".{glob.escape(target.name[:_NAME])}.????????.tmp"):
        with suppress(OSError):
            _remove_abandoned(temporary)
    return target


def _remove_abandoned(temporary: Path) -> None:
    handle = os.open(temporary, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink()
    finally:
        os.close(handle)


def _temporary_name(path: Path) -> Path:
    return path.with_name(f".{path.name[:_NAME]}.{secrets.token_hex(4)}.tmp")


def _lock(handle: int) -> None:
    with suppress(OSError):  # some network file systems have no locks: nothing is removed there
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def write_errors(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn errors of writing `path` into a UserError.

    Args:
        path: what is written.
        temporary: given where the block may also read: only errors about this file, and those of
            a full disk, are of writing.
    """
    try:
        yield
    except Exception as error:
        if full := _no_room(error):
            # A file above the system's limit for one says nothing of other files.
            kind = UserError if full == errno.EFBIG else DiskFullError
            raise kind(
                f"{path}: could not be written ({os.strerror(full)}); make room and run the same "
                "command again"
            ) from error
        is_write = temporary is None or getattr(error, "filename", None) == str(temporary)
        if isinstance(error, OSError) and is_write:
            raise UserError(
                f"{path}: cannot be written ({error.strerror}); choose another place, or change "
                "its permissions"
            ) from error
        raise


def _no_room(error: BaseException | None) -> int:
    """The system's number of a full disk, else 0; libraries raise errors of their own over it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return error.errno
        error = error.__context__
    return 0


def write_text(path: Path | str, text: str) -> None:
    """Write a small text file atomically, in UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path | str, value: object) -> None:
    """Write JSON atomically, indented for people."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_tsv(path: Path | str, columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a table atomically: tab-separated, UTF-8, a header line.

    Values may hold anything that a file name may, bytes that are not UTF-8 included.
    """
    with atomic_path(path) as temporary, _open_tsv(temporary, "w") as file:
        # Left alone, Python 3.11 does not quote a carriage return, and reads it as a line end.
        plain = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        quoted = csv.writer(
            file, dialect="excel-tab", lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
        )
        plain.writerow(columns)
        for row in rows:
            (quoted if any("\r" in str(value) for value in row) else plain).writerow(row)


def read_tsv(path: Path | str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """The columns and the rows, by column, of a table that `write_tsv` wrote."""
    with _open_tsv(Path(path), "r") as file:
        reader = csv.DictReader(file, dialect="excel-tab")
        return tuple(reader.fieldnames or ()), list(reader)


def _open_tsv(path: Path, mode: Literal["r", "w"]) -> TextIO:
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
