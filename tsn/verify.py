"""Check that the files of a data set are as they were written.

Shards are compared with the checksum in front of them, the index with the one in its report;
models and scores are read, with their own checksums.
"""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tsn.datasets.index import check_unchanged
from tsn.runtime.command_line import Parser
from tsn.runtime.errors import UserError
from tsn.shards.hdf5 import check_whole

Check = Callable[[Path], object]


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; the exit status is 1 if something in it is damaged."""
    parser = Parser(prog="python -m tsn.verify", description=__doc__)
    parser.add_argument("folder", type=Path, help="results of a data set, e.g. results/ucf101")
    parser.add_argument("--remove", action="store_true", help="delete the files that are damaged")
    options = parser.parse_args(arguments)
    start, count, size = time.monotonic(), 0, 0
    damaged = []
    for path, check in files_of(options.folder):
        count += 1
        size += path.stat().st_size
        try:
            check(path)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            damaged.append(path)
    if not count:
        print(f"error: {options.folder}: no shards, index or models in it", file=sys.stderr)
        return 1
    seconds = time.monotonic() - start
    print(f"{count} files, {size / 1e9:.2f} GB in {seconds:.0f} s: {len(damaged)} damaged")
    if damaged and options.remove:
        for path in damaged:
            path.unlink()
        print("removed; the command that made them makes them again")
    elif damaged:
        print("with --remove they are deleted, and the command that made them makes them again")
    return bool(damaged)


def files_of(folder: Path) -> Iterator[tuple[Path, Check]]:
    """Every file that can be checked, and what raises a UserError if it is damaged."""
    patterns: list[tuple[str, Check]] = [
        ("index.tsv", check_unchanged),
        ("shards/*/*.h5", _check_shard),
        ("*/split*/*/model.pt", _load_model),
        ("*/split*/*/scores.h5", _read_scores),
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


if __name__ == "__main__":
    sys.exit(main())
