"""Which videos a data set has: the official lists or the folder, and what is on disk.

This runs while the Snakefile is parsed (to know which shards there are and what changed), so it
reads only lists and directories and imports nothing heavy.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from tsn.config.schema import DatasetConfig
from tsn.datasets import demo, layouts
from tsn.datasets.records import MISSING, Video
from tsn.runtime.errors import UserError

VIDEO_SUFFIXES = frozenset([
    ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".wmv", ".asf",
    ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg", ".ts", ".mts", ".m2ts", ".vob", ".gif",
    ".divx", ".mxf", ".rm", ".rmvb",
])  # fmt: skip
"""File name endings taken for videos in a folder; other files are reported as unlisted."""


@dataclass(frozen=True)
class Listing:
    """All videos of a data set, its classes in label order, and the files no list names."""

    classes: tuple[str, ...]
    videos: tuple[Video, ...]
    unlisted: tuple[str, ...] = ()


def list_videos(dataset: DatasetConfig, results: Path) -> Listing:
    """The videos of a data set.

    Args:
        dataset: its configuration.
        results: the folder `results/` (the demo set is rendered below it).

    Raises:
        UserError: if the folder, the lists or a wanted class are absent, the official counts are
            wrong, or a list names a file outside the video folder.
    """
    if dataset.layout == "demo":
        return _demo(dataset, results)
    root = Path(dataset.videos)
    if not root.is_dir():
        raise UserError(
            f"datasets.{dataset.name}.videos: there is no folder {str(root)!r} (looked in "
            f"{os.fspath(Path.cwd())!r}); put one folder of videos per class there, or set the key"
        )
    on_disk, others = _scan(root)
    if dataset.layout == "folder":
        classes, listed = layouts.folder(dataset, _videos_of(on_disk))
    else:
        classes, listed = layouts.official(dataset)
    if not listed:
        raise UserError(
            f"datasets.{dataset.name}.lists: {dataset.lists!r} names no video of "
            f"{', '.join(classes)}; correct the lists or the key classes"
        )
    if all(on_disk.get(video.path, MISSING) == MISSING for video in listed):
        raise UserError(
            f"datasets.{dataset.name}.videos: none of the {len(listed)} listed videos is in "
            f"{str(root)!r}; expected for example {str(root / listed[0].path)!r}"
        )
    videos = tuple(
        replace(video, path=str(root / video.path), stamp=on_disk.get(video.path, MISSING))
        for video in sorted(listed, key=lambda video: video.id)
    )
    named = {video.path for video in listed}
    inside = set(classes) if dataset.classes else None
    unlisted = tuple(
        sorted(
            p
            for p in [*on_disk, *others]
            if p not in named and (inside is None or p.split("/")[0] in inside)
        )
    )
    return Listing(classes, videos, unlisted)


def _demo(dataset: DatasetConfig, results: Path) -> Listing:
    clips = demo.plan(dataset.render_seed, dataset.train_per_class, dataset.test_per_class)
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


def _scan(root: Path) -> tuple[dict[str, str], list[str]]:
    """Relative path -> stamp of every file in a folder of `root`; and whatever lies elsewhere."""
    found, others = {}, []
    for folder in sorted(os.scandir(root), key=lambda entry: entry.name):
        if folder.name.startswith("."):
            continue
        if not folder.is_dir():
            others.append(folder.name)
            continue
        for file in os.scandir(folder.path):
            path = f"{folder.name}/{file.name}"
            if file.name.startswith("."):
                continue
            if file.is_dir():
                others.append(f"{path}/")
            else:
                found[path] = _stamp(file)
    return found, others


def _stamp(file: os.DirEntry) -> str:
    try:
        status = file.stat()
    except OSError:  # a dangling link: as good as missing
        return MISSING
    return f"{status.st_size} {status.st_mtime_ns}"


def _videos_of(on_disk: dict[str, str]) -> list[Video]:
    return [
        Video(os.path.splitext(path)[0], path, path.split("/")[0])
        for path in sorted(on_disk)
        if os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES
    ]
