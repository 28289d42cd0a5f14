"""The index of a data set, as training and evaluation read it: one row per video, in a TSV."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tsn.datasets.records import MISSING, Video
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv, sha256_of
from tsn.video.span import Span

COLUMNS = ("id", "path", "class", "label", "group", "span", "shard", "on_disk")
"""Followed by one column per split: split1 …, with train, test or -."""

CHECKSUM = "sha256 of index.tsv: "
"""What the last line of `index.txt` begins with."""


def read_index(path: Path | str) -> list[Video]:
    """The videos of `index.tsv`; of their stamps it holds only whether they are `MISSING`.

    Raises:
        UserError: if the file is not an index.
    """
    columns, rows = read_tsv(path)
    if columns[: len(COLUMNS)] != COLUMNS:
        raise _no_index(path)
    try:
        splits = [int(name.removeprefix("split")) for name in columns[len(COLUMNS) :]]
        return [_video(row, splits) for row in rows]
    except (KeyError, TypeError, ValueError):  # a cut or edited row
        raise _no_index(path) from None


def _video(row: dict[str, str], splits: list[int]) -> Video:
    labels = [int(label) for label in row["label"].split("|")]
    names = row["class"].split("|") if len(labels) > 1 else [row["class"]]
    (name, label), *others = zip(names, labels, strict=True)
    return Video(
        row["id"],
        row["path"],
        name,
        label,
        {n: row[f"split{n}"] for n in splits if row[f"split{n}"] != "-"},
        row["group"],
        {"yes": "", "no": MISSING}[row["on_disk"]],
        Span.parse(row["span"]),
        tuple(others),
    )


def _no_index(path: Path | str) -> UserError:
    return UserError(
        f"{path}: not a whole index of videos; make it anew with --forcerun index_videos"
    )


def check_unchanged(index: Path | str) -> None:
    """Compare an index with the checksum in the report beside it (`index.txt`).

    Raises:
        UserError: if somebody edited it, or it is damaged.
    """
    report_file = Path(index).with_suffix(".txt")
    try:
        last = report_file.read_text("utf-8", errors="surrogateescape").splitlines()[-1]
    except (OSError, IndexError):
        last = ""
    if last != f"{CHECKSUM}{sha256_of(index)}":
        raise UserError(
            f"{index}: is not what was written (its checksum in {report_file} differs); make it "
            "anew with --forcerun index_videos, and edit the lists or the configuration instead"
        )


def class_names(videos: list[Video]) -> list[str]:
    """The classes in label order."""
    names = {
        label: name
        for video in videos
        for label, name in zip(video.labels, video.classes, strict=True)
    }
    return [names[label] for label in sorted(names)]


def multi_label(videos: Iterable[Video]) -> bool:
    """Whether some video has several classes: then the data set is one of several labels."""
    return any(video.others for video in videos)


def class_videos(videos: list[Video], split: int) -> dict[str, dict[str, int]]:
    """How many videos each class has in the parts of a split: name -> {"train": n, "test": n}."""
    count = Counter((name, video.splits.get(split)) for video in videos for name in video.classes)
    return {
        name: {part: count[name, part] for part in ("train", "test")}
        for name in class_names(videos)
    }


def members(videos: list[Video], split: int, part: str) -> list[Video]:
    """The videos of one part ("train" or "test") of a split.

    Raises:
        UserError: if there is none.
    """
    chosen = [video for video in videos if video.splits.get(split) == part]
    if not chosen:
        raise UserError(
            f"split {split} has no {part} video; look at the column split{split} of index.tsv"
        )
    return chosen
