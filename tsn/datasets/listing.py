"""Which videos a data set has, by its layout, and what is on disk.

This runs while the Snakefile is parsed (to know which shards there are and what changed), so it
reads only lists and directories and imports nothing heavy.
"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tsn.config.datasets import (
    DatasetConfig,
    DemoDataset,
    FolderDataset,
    ListDataset,
    OfficialDataset,
)
from tsn.datasets import demo_plan, layouts
from tsn.datasets.group_split import OFFICIAL_GROUPS
from tsn.datasets.list_layout import read_lists
from tsn.datasets.names_on_disk import NamesOnDisk
from tsn.datasets.parts import has_parts
from tsn.datasets.records import MISSING, Video
from tsn.datasets.scan import Scan, scan, scan_frame_folders, without_suffix
from tsn.runtime.errors import UserError


@dataclass(frozen=True)
class Listing:
    """All videos of a data set.

    Attributes:
        classes: in label order.
        videos: sorted by id.
        unlisted: files that no list names.
        invalid: a sentence, with file and line, for every row that cannot be used.
        unreadable: path and reason of what is on disk and could not be read.
        empty: folders of classes without a video.
        near: a sentence for every missing video that has a file of a similar name.
    """

    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    unlisted: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    near: tuple[str, ...] = ()

    def without_missing(self) -> "Listing":
        """Without what is not on disk (`data.missing: exclude`): videos, and classes of none."""
        present = tuple(video for video in self.videos if not video.missing)
        inhabited = {name for video in present for name in video.classes}
        classes = tuple(name for name in self.classes if name in inhabited)
        return replace(self, classes=classes, videos=present)


def list_videos(dataset: DatasetConfig, results: Path) -> Listing:
    """The videos of a data set.

    Args:
        dataset: its configuration.
        results: the folder `results/` (the demo set is rendered below it).

    Raises:
        UserError: if the folder, the lists or a wanted class are absent, the official counts are
            wrong, or a list names a file outside the video folder.
    """
    if isinstance(dataset, DemoDataset):
        return _demo(dataset, results)
    root = Path(dataset.videos)
    on_disk = _scan(dataset, root)
    invalid: list[str] = []
    if isinstance(dataset, FolderDataset):
        classes, listed = layouts.folder(dataset, on_disk)
    elif isinstance(dataset, ListDataset):
        named, listed, invalid = read_lists(dataset, on_disk)
        classes, listed = layouts.split(dataset, named, listed)
    else:
        classes, listed = layouts.official(dataset)
    if not listed:
        key = "annotations" if dataset.layout == "list" else "lists"
        raise UserError(
            f"datasets.{dataset.name}.{key}: {getattr(dataset, key)!r} names no video of "
            f"{', '.join(classes) or 'any class'}; correct the lists or the key classes"
            + "".join(f"\n  {problem}" for problem in invalid[:5])
        )
    stamps = on_disk.files
    listed, near = _by_other_names(listed, on_disk, dataset.layout)
    absent = any(video.path not in stamps for video in listed)
    if absent and (misread := _misread(on_disk.files)):
        raise UserError(f"datasets.{dataset.name}.videos: {misread}")
    if all(stamps.get(video.path, MISSING) == MISSING for video in listed):
        raise UserError(
            f"datasets.{dataset.name}.videos: none of the {len(listed)} listed videos is in "
            f"{str(root)!r}; expected for example {str(root / listed[0].path)!r}"
            + "".join(f"\n  {sentence}" for sentence in near[:5])
        )
    return Listing(
        classes,
        tuple(
            replace(v, path=os.path.join(root, v.path), stamp=stamps.get(v.path, MISSING))  # noqa: PTH118 - many
            for v in sorted(listed, key=lambda video: video.id)
        ),
        _unlisted(dataset, on_disk, {video.path for video in listed}, classes),
        tuple(invalid),
        tuple(f"{path} ({reason})" for path, reason in on_disk.unreadable.items()),
        _empty(on_disk, {v.path.split("/")[0] for v in listed}) if not dataset.classes else (),
        near,
    )


def _misread(names: Iterable[str]) -> str:
    """A sentence if names on disk are read otherwise than those in lists, which are UTF-8."""
    charset = sys.getfilesystemencoding()
    name = next((name for name in names if not name.isascii()), "")
    if charset == "utf-8" or not name:
        return ""
    return (
        f"names such as {name!r} are taken for {charset}, the character set of the locale; set "
        "PYTHONUTF8=1, or LC_ALL=C.UTF-8"
    )


def _by_other_names(
    listed: list[Video], on_disk: Scan, layout: str
) -> tuple[list[Video], tuple[str, ...]]:
    """The videos with their files as they are called on disk; a sentence where one is similar.

    Folders of frames of official videos may lie without those of the classes.
    """
    files = on_disk.files
    if all(video.path in files for video in listed):
        return listed, ()
    names = NamesOnDisk(on_disk)

    def path(video: Video) -> str:
        found = names.find(video.path)
        if not found and on_disk.of_frames and layout in OFFICIAL_GROUPS:
            found = next(iter(names.anywhere(video.path.rpartition("/")[2])), "")
        return found or (without_suffix(video.path) if on_disk.of_frames else video.path)

    found = [replace(video, path=path(video)) for video in listed]
    missing = sorted(video.path for video in found if video.path not in files)
    near = ((path, names.near(path)) for path in missing)
    return found, tuple(f"{path!r}: there is {other!r}" for path, other in near if other)


def _scan(dataset: OfficialDataset | FolderDataset | ListDataset, root: Path) -> Scan:
    key = f"datasets.{dataset.name}.videos"
    try:
        if dataset.frame_folders:
            return scan_frame_folders(str(root), dataset.frame_folders.names)
        if isinstance(dataset, OfficialDataset):
            return scan(str(root), 2)
        if isinstance(dataset, ListDataset) or dataset.nested:
            return scan(str(root))
        found = scan(str(root), 2)
        return scan(str(root), 3) if has_parts(found) else found
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"{key}: there is no folder {str(root)!r} (looked in {os.fspath(Path.cwd())!r}); "
            "put one folder of videos per class there, or set the key"
            + (f"; {misread}" if (misread := _misread([str(root)])) else "")
        ) from None
    except OSError as error:
        raise UserError(
            f"{key}: {str(root)!r} cannot be read ({error.strerror}); check its rights"
        ) from None


def _unlisted(
    dataset: OfficialDataset | FolderDataset | ListDataset,
    on_disk: Scan,
    named: set[str],
    classes: Iterable[str],
) -> tuple[str, ...]:
    inside = set(classes) if dataset.classes and dataset.layout != "list" else None
    return tuple(
        sorted(
            path
            for path in [*on_disk.files, *on_disk.others]
            if path not in named and (inside is None or path.split("/")[0] in inside)
        )
    )


def _empty(on_disk: Scan, used: set[str]) -> tuple[str, ...]:
    holding = {path.split("/")[0] for path in on_disk.files}
    return tuple(sorted(name for name in on_disk.folders if name not in used | holding))


def _demo(dataset: DemoDataset, results: Path) -> Listing:
    clips = demo_plan.plan(dataset.render_seed, dataset.train_per_class, dataset.test_per_class)
    videos = tuple(
        Video(
            clip.id,
            str(results / dataset.name / "videos" / f"{clip.id}.mp4"),
            clip.class_name,
            splits={1: clip.split},
            stamp=f"rendered {clip.seed}",
        )
        for clip in sorted(clips, key=lambda clip: clip.id)
    )
    return Listing(tuple(sorted({clip.class_name for clip in clips})), videos)


def leaks(videos: Iterable[Video], splits: Iterable[int]) -> list[str]:
    """Groups that are in both train and test of a split, by name."""
    found = []
    for split in splits:
        sides: dict[str, set[str]] = defaultdict(set)
        for video in videos:
            if split in video.splits:
                sides[video.group or video.id].add(video.splits[split])
        found += [
            f"split {split}: {group}" for group, both in sorted(sides.items()) if len(both) == 2
        ]
    return found


def check_usable(listing: Listing, dataset: DatasetConfig, refuse_invalid: bool) -> None:
    """Fail early if a run could not finish.

    Raises:
        UserError: a split has no video on disk to train on or to test on; or a row of a list is
            invalid and `refuse_invalid` (`data.invalid_rows: refuse`).
    """
    if refuse_invalid and listing.invalid:
        rows = "\n  ".join(listing.invalid[:20])
        raise UserError(
            f"datasets.{dataset.name}.annotations: {len(listing.invalid)} rows are invalid; "
            f"correct them, or set data.invalid_rows: quarantine to go on without:\n  {rows}"
        )
    for split in dataset.splits:
        for part in ("train", "test"):
            chosen = [video for video in listing.videos if video.splits.get(split) == part]
            if all(video.missing for video in chosen):
                where = f"all {len(chosen)} are missing" if chosen else "there is none"
                raise UserError(
                    f"datasets.{dataset.name}: split {split} has no {part} video on disk ({where} "
                    f"among the {len(listing.videos)} found); add videos, or look at videos, "
                    "splits, lists, classes and test_ratio"
                )


def oddities(listing: Listing, splits: Iterable[int]) -> list[str]:
    """Warnings about the listing, one sentence per type of problem."""
    found = []
    classes = {name for video in listing.videos for name in video.classes}
    if len(classes) == 1:
        found.append(f"all videos are of class {min(classes)!r}: there is nothing to tell apart")
    for split in splits:
        trained = [v for v in listing.videos if v.splits.get(split) == "train" and not v.missing]
        have = {name for video in trained for name in video.classes}
        if lacking := sorted({name for v in listing.videos for name in v.classes} - have):
            found.append(
                f"{len(lacking)} classes have no video on disk to train on in split {split}, "
                f"such as {lacking[0]!r}"
            )
    if listing.invalid:
        found.append(f"{len(listing.invalid)} rows are not used, such as {listing.invalid[0]}")
    if misread := _misread(video.path for video in listing.videos):
        found.append(misread)
    if listing.near:
        found.append(
            f"{len(listing.near)} missing videos may be misspelt, such as {listing.near[0]}"
        )
    if listing.unreadable:
        found.append(f"{len(listing.unreadable)} unreadable, such as {listing.unreadable[0]!r}")
    if both := leaks(listing.videos, splits):
        found.append(f"{len(both)} groups are on both sides, such as that of {both[0]!r}")
    return found
