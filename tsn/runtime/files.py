"""Outputs appear whole or not at all."""

import csv
import errno
import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tsn.runtime.errors import UserError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it when the block ends well, removed otherwise.

    The data are on disk before the rename, so a machine that dies leaves the old file or the new
    one, never half of one. What killed writers of the same file left behind is removed first.

    Raises:
        UserError: if there is no room for the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left_behind in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        left_behind.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except Exception as error:
        if reason := _no_room(error):
            raise UserError(
                f"{path}: could not be written ({reason}); make room and run the same command again"
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _no_room(error: BaseException | None) -> str:
    """The system's word for a full disk; libraries may raise errors of their own over it."""
    while error is not None:
        if getattr(error, "errno", None) in _NO_ROOM:
            return os.strerror(error.errno)
        error = error.__context__
    return ""


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


def _open_tsv(path: Path, mode: str):
    return path.open(mode, encoding="utf-8", errors="surrogateescape", newline="")


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
