"""Check that the files of a data set are as they were written.

Shards are compared with the checksum in front of them, the index with the one in its report;
models, scores and features are read, with their own checksums.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tsn.datasets.index import check_unchanged
from tsn.runtime.command_line import Parser, describe, exit_cleanly_on_sigterm, run_command
from tsn.runtime.errors import UserError
from tsn.shards.hdf5 import check_whole

Check = Callable[[Path], object]


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; the exit status is 1 if something in it is damaged or cannot be read."""
    parser = Parser(prog="python -m tsn.verify", description=__doc__)
    parser.add_argument("folder", type=Path, help="results of a data set, e.g. results/ucf101")
    parser.add_argument("--remove", action="store_true", help="delete the files that are damaged")
    options = parser.parse_args(arguments)
    return run_command(lambda: _verify(options))


def _verify(options: argparse.Namespace) -> int:
    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: is not a folder; give one such as results/ucf101")
    start, count, size = time.monotonic(), 0, 0
    damaged, unreadable = [], 0
    for path, check in files_of(options.folder):
        count += 1
        try:
            with path.open("rb") as file:
                size += os.fstat(file.fileno()).st_size
            check(path)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            damaged.append(path)
        except OSError as error:  # whether it is damaged is not known
            print(f"error: {path}: cannot be read ({error.strerror})", file=sys.stderr)
            unreadable += 1
    if not count:
        raise UserError(f"{options.folder}: no shards, index or models in it")
    seconds = time.monotonic() - start
    failed = f", {unreadable} unreadable" if unreadable else ""
    print(f"{count} files, {size / 1e9:.2f} GB in {seconds:.0f} s: {len(damaged)} damaged{failed}")
    if damaged and options.remove:
        _remove(damaged)
    elif damaged:
        print("with --remove they are deleted, and the command that made them makes them again")
    return int(bool(damaged or unreadable))


def _remove(damaged: list[Path]) -> None:
    for path in damaged:
        try:
            path.unlink()
            print(f"{path}: removed; the command that made it makes it again")
        except OSError as error:
            print(f"error: {describe(error)}", file=sys.stderr)


def files_of(folder: Path) -> Iterator[tuple[Path, Check]]:
    """Every file that can be checked, and what raises a UserError if it is damaged."""
    patterns: list[tuple[str, Check]] = [
        ("index.tsv", check_unchanged),
        ("shards/*/[0-9]*.h5", _check_shard),
        *((f"*/split*/*/{name}.pt", _load_model) for name in ("model", "best", "last")),
        *((f"*/split*/*/{name}.h5", _read_scores) for name in ("scores", "held_out")),
        ("*/split*/*/features.h5", _read_features),
    ]
    for pattern, check in patterns:
        for path in sorted(folder.glob(pattern)):
            yield path, check


def _check_shard(path: Path) -> None:
    check_whole([path])


def _load_model(path: Path) -> None:
    from tsn.training.checkpoint import load_model

    load_model(path)


def _read_scores(path: Path) -> None:
    from tsn.evaluation.scores import read_scores

    read_scores(path)


def _read_features(path: Path) -> None:
    import h5py

    from tsn.shards.hdf5 import DAMAGE
    from tsn.shards.reader import damaged, open_shard

    def read(_: str, found: h5py.Group | h5py.Dataset) -> None:
        if isinstance(found, h5py.Dataset):
            found[()]

    with open_shard(path) as file:
        try:
            file.visititems(read)
        except DAMAGE as error:
            raise damaged(path, error) from None


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
