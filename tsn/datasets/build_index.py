"""Making the index of a data set: a TSV with one row per video, and a report for people."""

import hashlib
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tsn.config.datasets import DatasetConfig
from tsn.config.fields import build
from tsn.datasets.index import CHECKSUM, COLUMNS
from tsn.datasets.listing import Listing, check_usable, leaks, list_videos
from tsn.datasets.records import Video
from tsn.runtime.files import sha256_of, write_text, write_tsv

logger = logging.getLogger("tsn")


def shard_of(video_id: str, shards: int) -> int:
    """The shard of a video: stable, whatever other videos there are."""
    digest = hashlib.sha256(video_id.encode("utf-8", errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shards


def shard_name(shard: int) -> str:
    """The name of a shard's file, without ending."""
    return f"{shard:04d}"


def videos_by_shard(videos: Iterable[Video], shards: int) -> dict[str, list[Video]]:
    """Name of every shard that has videos -> its videos, clips of a file in their order in it."""
    members = defaultdict(list)
    for video in videos:
        members[shard_name(shard_of(video.id, shards))].append(video)
    return {name: _clips_in_order(videos) for name, videos in sorted(members.items())}


def _clips_in_order(videos: list[Video]) -> list[Video]:
    """Videos, the clips among them by file and time, so that a file is decoded in one pass."""
    clips = iter(sorted((v.path, v.span.start, v.id, v) for v in videos if v.span))
    return [next(clips)[-1] if video.span else video for video in videos]


def digest(listing: Listing) -> str:
    """Changes with everything that the index says, and with the files themselves."""
    videos = [
        (v.id, v.path, v.class_text, v.group, v.splits, v.stamp, str(v.span or ""))
        for v in listing.videos
    ]
    text = json.dumps([listing.classes, videos])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_index(path: Path, listing: Listing, shards: int, splits: tuple[int, ...]) -> None:
    """Write `index.tsv`: `COLUMNS`, and train, test or - per split.

    Labels count the classes that have a video in the listing, in the order of its classes; several
    classes of a video, and their labels, are separated by a vertical bar.
    """
    inhabited = {name for video in listing.videos for name in video.classes}
    names = [name for name in listing.classes if name in inhabited]
    labels = {name: label for label, name in enumerate(names)}
    rows = (
        (
            video.id,
            video.path,
            video.class_text,
            "|".join(str(labels[name]) for name in video.classes),
            video.group or video.id,
            "" if video.span is None else str(video.span),
            shard_of(video.id, shards),
            "no" if video.missing else "yes",
            *(video.splits.get(n, "-") for n in splits),
        )
        for video in listing.videos
    )
    write_tsv(path, [*COLUMNS, *(f"split{n}" for n in splits)], rows)


def plan_listing(dataset: DatasetConfig, results: Path, missing: str, invalid_rows: str) -> Listing:
    """The videos that the index will hold.

    Args:
        dataset: its configuration.
        results: the folder `results/`.
        missing: what to do with listed videos that are not on disk: "exclude" or "quarantine".
        invalid_rows: and with rows that cannot be used: "refuse" or "quarantine".

    Raises:
        UserError: see `list_videos` and `check_usable`.
    """
    listing = list_videos(dataset, results)
    check_usable(listing, dataset, invalid_rows == "refuse")
    return listing.without_missing() if missing == "exclude" else listing


def index_dataset(
    dataset: dict,
    results: Path,
    missing: str,
    invalid_rows: str,
    index: Path,
    report_file: Path,
) -> None:
    """List the videos of a data set and write the index and the report.

    Args:
        dataset: the fields of a `DatasetConfig`.
        results: the folder `results/`.
        missing: what to do with listed videos that are not on disk: "exclude" or "quarantine".
        invalid_rows: and with rows that cannot be used: "refuse" or "quarantine".
        index: `index.tsv`.
        report_file: what was found, for people.

    Raises:
        UserError: see `list_videos` and `check_usable`.
    """
    config = build(DatasetConfig, dataset)
    found = list_videos(config, results)
    check_usable(found, config, invalid_rows == "refuse")
    listing = found.without_missing() if missing == "exclude" else found
    write_index(index, listing, config.shards, config.splits)
    text = report(found, config.splits, missing == "exclude")
    write_text(report_file, f"{text}{CHECKSUM}{sha256_of(index)}\n")
    counts = [line.removesuffix(":") for line in text.splitlines() if not line.startswith(" ")]
    logger.info("%s\nby name: %s", "\n".join(counts[:-1]), report_file)


def report(listing: Listing, splits: tuple[int, ...], excluded: bool) -> str:
    """What was found, for people: counts, then missing and unlisted videos by name."""
    present = [video for video in listing.videos if not video.missing]
    missing = [video.id for video in listing.videos if video.missing]
    inhabited = {name for video in present for name in video.classes}
    lines = [
        f"{len(present)} of {len(listing.videos)} listed videos on disk, "
        f"in {len(inhabited)} of {len(listing.classes)} classes"
    ]
    for split in splits:
        count = Counter(video.splits.get(split, "-") for video in present)
        lines.append(
            f"split {split}: {count['train']} train, {count['test']} test, {count['-']} in neither"
        )
        for part in ("train", "test"):
            chosen = [video for video in present if video.splits.get(split) == part]
            have = {name for video in chosen for name in video.classes}
            if without := sorted(inhabited - have):
                lines += _named(f"classes without a {part} video in split {split}", without)
    if several := sum(bool(video.others) for video in present):
        lines.append(f"{several} videos have several classes")
    fate = (
        "excluded (data.missing: exclude)" if excluded else "quarantined (data.missing: quarantine)"
    )
    lines += _named(f"missing, {fate}", missing) + _named("unlisted, not used", listing.unlisted)
    for title, names in (
        ("missing, with a file of a similar name", listing.near),
        ("invalid rows, not used", listing.invalid),
        ("unreadable", listing.unreadable),
        ("folders without a video", listing.empty),
        ("groups on both sides of a split", leaks(listing.videos, splits)),
    ):
        lines += _named(title, names) if names else []
    return "\n".join([*lines, "videos on disk by class:", *_by_class(listing, splits)]) + "\n"


def _by_class(listing: Listing, splits: Sequence[int]) -> list[str]:
    """A table: videos on disk of every class, by split and part."""
    columns = [(split, part) for split in splits for part in ("train", "test")]
    count = Counter(
        (name, split, part)
        for video in listing.videos
        if not video.missing
        for name in video.classes
        for split, part in video.splits.items()
    )
    names = {name: repr(name) for name in listing.classes}
    width = max(map(len, ["class", *names.values()]))
    head = "".join(f"{part}{split}".rjust(9) for split, part in columns)
    return [f"  {'class':{width}}{head}"] + [
        f"  {shown:{width}}" + "".join(f"{count[name, *column]:9}" for column in columns)
        for name, shown in names.items()
    ]


def _named(title: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} {title}{':' if names else ''}", *(f"  {name!r}" for name in names)]
