"""The index of a data set: one row per video, in a TSV that a person can read."""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tsn.config.schema import DatasetConfig, build
from tsn.datasets.scan import Entry, Listing, list_videos
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv, write_text, write_tsv

logger = logging.getLogger("tsn")
_CHECKSUM = "sha256 of index.tsv: "
COLUMNS = ("id", "path", "class", "label", "shard", "on_disk")


@dataclass(frozen=True)
class Video:
    """One row: `splits` maps a split number to "train" or "test"; `label` counts from 0."""

    id: str
    path: str
    class_name: str
    label: int
    shard: int
    on_disk: bool
    splits: dict[int, str]


def shard_of(video_id: str, shards: int) -> int:
    """The shard of a video: stable, whatever other videos there are."""
    digest = hashlib.sha256(video_id.encode("utf-8", errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shards


def shard_name(shard: int) -> str:
    """The name of a shard's file, without ending."""
    return f"{shard:04d}"


def sources_by_shard(entries: Iterable[Entry], shards: int) -> dict[str, list[list[str]]]:
    """Name of every shard that has videos -> its videos as [id, path, class, stamp].

    Plain lists: they are the parameter of the shard's rules, and change with the files in it.
    """
    members = defaultdict(list)
    for entry in entries:
        source = [entry.id, entry.path, entry.class_name, entry.stamp]
        members[shard_name(shard_of(entry.id, shards))].append(source)
    return dict(sorted(members.items()))


def digest(listing: Listing) -> str:
    """Changes with everything that the index says, and with the files themselves."""
    entries = [(e.id, e.path, e.class_name, e.splits, e.stamp) for e in listing.entries]
    text = json.dumps([listing.classes, entries])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_index(path: Path, listing: Listing, shards: int, splits: tuple[int, ...]) -> None:
    """Write `index.tsv`: id, path, class, label, shard, on_disk, and train/test/- per split.

    Labels count the classes that have a video in the listing, in the order of its classes.
    """
    inhabited = {entry.class_name for entry in listing.entries}
    names = [name for name in listing.classes if name in inhabited]
    labels = {name: label for label, name in enumerate(names)}
    rows = (
        (
            entry.id,
            entry.path,
            entry.class_name,
            labels[entry.class_name],
            shard_of(entry.id, shards),
            "no" if entry.missing else "yes",
            *(entry.splits.get(n, "-") for n in splits),
        )
        for entry in listing.entries
    )
    write_tsv(path, [*COLUMNS, *(f"split{n}" for n in splits)], rows)


def check_unchanged(index: Path | str) -> None:
    """Compare an index with the checksum in the report beside it (`index.txt`).

    Raises:
        UserError: if somebody edited it, or it is damaged.
    """
    report_file = Path(index).with_suffix(".txt")
    try:
        told = report_file.read_text(errors="surrogateescape").splitlines()[-1]
    except (OSError, IndexError):
        told = ""
    if told != f"{_CHECKSUM}{_sha256(index)}":
        raise UserError(
            f"{index}: is not what was written (its checksum in {report_file} differs); make it "
            "anew with --forcerun index_videos, and edit the lists or the configuration instead"
        )


def _sha256(path: Path | str) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_index(path: Path) -> list[Video]:
    """The rows of `index.tsv`.

    Raises:
        UserError: if the file is not an index.
    """
    columns, rows = read_tsv(path)
    if columns[: len(COLUMNS)] != COLUMNS:
        raise _no_index(path)
    try:
        splits = [int(name.removeprefix("split")) for name in columns[len(COLUMNS) :]]
        return [
            Video(
                row["id"],
                row["path"],
                row["class"],
                int(row["label"]),
                int(row["shard"]),
                row["on_disk"] == "yes",
                {n: row[f"split{n}"] for n in splits if row[f"split{n}"] != "-"},
            )
            for row in rows
        ]
    except (TypeError, ValueError):  # a cut or edited row
        raise _no_index(path) from None


def _no_index(path: Path) -> UserError:
    return UserError(
        f"{path}: not a whole index of videos; make it anew with --forcerun index_videos"
    )


def class_names(videos: list[Video]) -> list[str]:
    """The classes in label order."""
    names = {video.label: video.class_name for video in videos}
    return [names[label] for label in sorted(names)]


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


def without_missing(listing: Listing) -> Listing:
    """The listing without what is not on disk (`data.missing: exclude`): videos, empty classes."""
    present = tuple(entry for entry in listing.entries if not entry.missing)
    inhabited = {entry.class_name for entry in present}
    classes = tuple(name for name in listing.classes if name in inhabited)
    return Listing(classes, present, listing.unlisted)


def index_dataset(
    dataset: dict, results: Path, exclude_missing: bool, index: Path, report_file: Path
) -> None:
    """List the videos of a data set and write the index and the report.

    Args:
        dataset: the fields of a `DatasetConfig`.
        results: the folder `results/`.
        exclude_missing: leave out listed videos that are not on disk.
        index: `index.tsv`.
        report_file: what was found, for people.

    Raises:
        UserError: if a split has nothing to train on or to test on, and see `list_videos`.
    """
    config = build(DatasetConfig, dataset)
    found = list_videos(config, results)
    listing = without_missing(found) if exclude_missing else found
    for split in config.splits:
        for part in ("train", "test"):
            if not any(entry.splits.get(split) == part for entry in listing.entries):
                raise UserError(
                    f"datasets.{config.name}: split {split} has no {part} video among the "
                    f"{len(listing.entries)} found; add videos, or look at splits, lists, classes "
                    "and test_ratio"
                )
    write_index(index, listing, config.shards, config.splits)
    text = report(found, config.splits, exclude_missing)
    write_text(report_file, f"{text}{_CHECKSUM}{_sha256(index)}\n")
    logger.info("%s", "\n".join(line for line in text.splitlines() if not line.startswith(" ")))


def report(listing: Listing, splits: tuple[int, ...], excluded: bool) -> str:
    """What was found, for people: counts, then missing and unlisted videos by name."""
    present = [entry for entry in listing.entries if not entry.missing]
    missing = [entry.id for entry in listing.entries if entry.missing]
    inhabited = {entry.class_name for entry in present}
    lines = [
        f"{len(present)} of {len(listing.entries)} listed videos on disk, "
        f"in {len(inhabited)} of {len(listing.classes)} classes"
    ]
    for split in splits:
        count = Counter(entry.splits.get(split, "-") for entry in present)
        lines.append(
            f"split {split}: {count['train']} train, {count['test']} test, {count['-']} in neither"
        )
        for part in ("train", "test"):
            have = {entry.class_name for entry in present if entry.splits.get(split) == part}
            if without := sorted(inhabited - have):
                lines += _named(f"classes without a {part} video in split {split}", without)
    fate = (
        "excluded (data.missing: exclude)" if excluded else "quarantined (data.missing: quarantine)"
    )
    lines += _named(f"missing, {fate}", missing) + _named("unlisted, not used", listing.unlisted)
    return "\n".join(lines) + "\n"


def _named(title: str, names) -> list[str]:
    return [f"{len(names)} {title}{':' if names else ''}", *(f"  {name!r}" for name in names)]
