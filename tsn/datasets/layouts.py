"""The layouts that are official lists (UCF101, HMDB51) or a folder per class; how videos split."""

import difflib
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tsn.config.datasets import FolderDataset, ListDataset, OfficialDataset
from tsn.datasets.class_list import read_class_list
from tsn.datasets.group_split import OFFICIAL_GROUPS, assign_folds, group_of, sample_groups
from tsn.datasets.parts import has_parts, kind_of, sides_of
from tsn.datasets.plain_list import split_line
from tsn.datasets.records import Video
from tsn.datasets.rows import read_text
from tsn.datasets.scan import Scan, is_side_file
from tsn.datasets.video_files import unique_names
from tsn.runtime.errors import UserError, about_key

OFFICIAL_COUNTS = {
    "ucf101": {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)},
    "hmdb51": dict.fromkeys((1, 2, 3), (3570, 1530)),
}
"""Train and test videos per split: the data sets' own pages, and the official files themselves."""

_COPY = re.compile(r"(copy of|kopie von|copie de|copia de|cópia de) ", re.IGNORECASE)
"""What file managers call a second copy of a file."""

Members = dict[str, dict[int, str]]
"""Path below the video folder -> split number -> "train" or "test"."""


def official(dataset: OfficialDataset) -> tuple[tuple[str, ...], list[Video]]:
    """Classes and videos of the official lists, restricted to `dataset.classes` if given.

    Their paths are relative to the video folder.

    Raises:
        UserError: if a list is absent or malformed, has not the official number of videos, names a
            file outside the video folder, or has a video on both sides of a split.
    """
    folder = Path(dataset.lists)
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"datasets.{dataset.name}.lists: there is no folder {str(folder)!r} (looked in "
            f"{os.fspath(Path.cwd())!r}); put the official split files there, or set the key"
        ) from None
    except OSError as error:
        raise UserError(
            f"datasets.{dataset.name}.lists: {str(folder)!r} cannot be read ({error.strerror}); "
            "check its rights"
        ) from None
    read = {"ucf101": _ucf101, "hmdb51": _hmdb51}[dataset.layout]
    with about_key(f"datasets.{dataset.name}.lists"):
        classes, members = read(folder, dataset.splits)
    if dataset.check_counts:
        _check_counts(dataset, members)
    chosen = _choose(dataset, classes)
    videos = [
        Video(os.path.splitext(path)[0], path, path.split("/")[0], splits=splits)
        for path, splits in sorted(members.items())
        if path.split("/")[0] in set(chosen)
    ]
    pattern = OFFICIAL_GROUPS[dataset.layout]
    return chosen, [
        replace(video, group=group_of(video.id, pattern) or video.id)
        for video in _unique_ids(videos)
    ]


def folder(dataset: FolderDataset, on_disk: Scan) -> tuple[tuple[str, ...], list[Video]]:
    """Classes and videos of a folder per class, split as `split` does.

    Where the folder holds parts such as `train` and `val`, the classes lie below them and the
    videos are split by them. With `nested`, a class is the whole path of the folder of its videos.

    Raises:
        UserError: if there is no video, a wanted class is absent, or `group_pattern` matches not.
    """
    parts = has_parts(on_disk)
    videos = []
    for stem, path in on_disk.videos():
        part, _, inside = path.partition("/") if parts else ("", "", path)
        class_name = inside.rpartition("/")[0]
        if part and kind_of(part) is None and part not in dataset.parts:
            continue
        if class_name:
            videos.append(Video(stem, path, class_name, splits={1: part} if part else {}))
    sides = sides_of({part for video in videos for part in video.splits.values()}, dataset)
    videos = [
        replace(v, splits={n: side for n, part in v.splits.items() if (side := sides[part])})
        for v in videos
    ]
    if not videos:
        wanted = "video files in it"
        if dataset.frame_folders:
            wanted = f"folders of images named {dataset.frame_folders.names.rgb} (frame_folders)"
        raise UserError(
            f"datasets.{dataset.name}.videos: no video in {dataset.videos!r}; expected one folder "
            f"per class with {wanted}"
        )
    return split(dataset, sorted({video.class_name for video in videos}), _unique_ids(videos))


def split(
    dataset: FolderDataset | ListDataset, classes: Sequence[str], videos: list[Video]
) -> tuple[tuple[str, ...], list[Video]]:
    """Choose the wanted classes; group and split the videos, if they are not split already.

    They are split by ratio with a seed, or into folds of which each is tested on once. Videos whose
    id matches `group_pattern` with the same text (its first group, if it has one) stay together.

    Raises:
        UserError: a wanted class is absent, `group_pattern` does not match, or videos are split
            already, and not as often as is wanted.
    """
    chosen = _choose(dataset, tuple(classes))
    inside = set(chosen)
    videos = [kept for video in videos if (kept := video.restricted_to(inside))]
    if dataset.group_pattern is not None or not all(video.group for video in videos):
        videos = [replace(video, group=_group(dataset, video)) for video in videos]
    if given := {n for video in videos for n in video.splits}:
        if given == {1} and (others := [n for n in dataset.splits if n != 1]):
            raise UserError(
                f"datasets.{dataset.name}.splits: folders or lists name the parts of split 1 "
                f"alone, and none of split {others[0]}; leave the key out, or name lists for all"
            )
        return chosen, videos
    grouped = [(video.id, name, video.group) for video in videos for name in video.classes]
    if dataset.folds:
        fold_of = assign_folds(grouped, dataset.folds, str(dataset.split_seed))
        tests = {n: {name for name, fold in fold_of.items() if fold == n} for n in dataset.splits}
    else:
        tests = {
            n: sample_groups(grouped, dataset.test_ratio, f"{dataset.split_seed}/{n}")
            for n in dataset.splits
        }
    return chosen, [
        replace(v, splits={n: "test" if v.id in test else "train" for n, test in tests.items()})
        for v in videos
    ]


def _ucf101(lists: Path, splits: tuple[int, ...]) -> tuple[tuple[str, ...], Members]:
    numbers = lists / "classInd.txt"
    classes = tuple(read_class_list(numbers).values())
    members: Members = defaultdict(dict)
    for split in splits:
        for part in ("train", "test"):
            file = lists / f"{part}list0{split}.txt"
            for line in _lines(file):
                # A label may follow, as in the train lists; the class folder says the same.
                path = _inside(split_line(line)[0], file)
                if path.split("/")[0] not in classes:
                    raise UserError(f"{file}: the class of {path!r} is not in {numbers}; add it")
                _assign(members[path], split, part, path, file)
    return classes, members


def _hmdb51(lists: Path, splits: tuple[int, ...]) -> tuple[tuple[str, ...], Members]:
    files = [
        file
        for n in splits
        for file in sorted(lists.glob(f"*_test_split{n}.txt"))
        if not is_side_file(file.name) and not _COPY.match(file.name)
    ]
    if not files:
        raise UserError(
            f"no '<class>_test_split<N>.txt' in {str(lists)!r}; put the official files there"
        )
    members: Members = defaultdict(dict)
    for file in files:
        name, split = file.stem.rsplit("_test_split", 1)
        for line in _lines(file):
            video, fields = split_line(line)
            flag = fields[0] if len(fields) == 1 else ""
            if flag not in ("0", "1", "2"):
                raise UserError(
                    f"{file}: {line!r} does not end in 0, 1 or 2; restore the official file"
                )
            path = _inside(f"{name}/{video}", file)
            sides = members[path]  # a video that no split uses is listed, too
            if flag != "0":
                _assign(sides, int(split), {"1": "train", "2": "test"}[flag], path, file)
    return tuple(sorted({path.split("/")[0] for path in members})), members


def _lines(file: Path) -> list[str]:
    if not file.exists():
        raise UserError(f"there is no list {str(file)!r}; put the official file there")
    # Not splitlines(): a name may hold the rarer characters that it takes for line ends.
    lines = (line.strip(" \t") for line in read_text(file).split("\n"))
    return [line for line in lines if line]


def _inside(path: str, file: Path) -> str:
    """Refuse names that would lead out of the video folder."""
    parts = PurePosixPath(path).parts
    if len(parts) != 2 or ".." in parts or path.startswith("/") or "\0" in path:
        raise UserError(f"{file}: {path!r} is not of the form class/video; correct the list")
    return "/".join(parts)


def _assign(sides: dict[int, str], split: int, part: str, path: str, file: Path) -> None:
    if sides.setdefault(split, part) != part:
        raise UserError(
            f"{file}: {path!r} is a train and a test video of split {split}; "
            "take it out of one list"
        )


def _check_counts(dataset: OfficialDataset, members: Members) -> None:
    key = f"datasets.{dataset.name}"
    for split in dataset.splits:
        expected = OFFICIAL_COUNTS[dataset.layout][split]
        parts = [splits.get(split) for splits in members.values()]
        counts = (parts.count("train"), parts.count("test"))
        if counts != expected:
            raise UserError(
                f"{key}.lists: split {split} in {dataset.lists!r} has {counts[0]} train and "
                f"{counts[1]} test videos, officially {expected[0]} and {expected[1]}; restore the "
                f"official files, or set {key}.check_counts: false for lists of your own"
            )


def _choose(
    dataset: OfficialDataset | FolderDataset | ListDataset, classes: tuple[str, ...]
) -> tuple[str, ...]:
    if dataset.classes is None:
        return classes
    for name in dataset.classes:
        if name not in classes:
            near = difflib.get_close_matches(name, classes, 3) or classes[:5]
            raise UserError(
                f"datasets.{dataset.name}.classes: there is no class {name!r}; "
                f"did you mean {', '.join(near)}?"
            )
    return tuple(name for name in classes if name in dataset.classes)


def _unique_ids(videos: list[Video]) -> list[Video]:
    """Keep the ending in the id where two files of a folder differ only by it."""
    ids = unique_names([video.id for video in videos], [video.path for video in videos])
    return [replace(video, id=name) for video, name in zip(videos, ids, strict=True)]


def _group(dataset: FolderDataset | ListDataset, video: Video) -> str:
    if dataset.group_pattern is None:
        return video.group or video.id
    group = group_of(video.id, dataset.group_pattern)
    if group is None:
        raise UserError(
            f"datasets.{dataset.name}.group_pattern: it does not match the video {video.id!r}; "
            "widen it"
        )
    return group
