"""The layout `list`: videos and clips named by annotation files."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tsn.config.datasets import ListDataset
from tsn.datasets.annotations import read_annotations
from tsn.datasets.class_list import number_order, plain_number, read_class_list
from tsn.datasets.names_on_disk import NamesOnDisk
from tsn.datasets.parts import kind_of, sides_of
from tsn.datasets.records import Video
from tsn.datasets.rows import InvalidRowError, Row
from tsn.datasets.scan import Scan, without_suffix
from tsn.runtime.errors import UserError, about_key
from tsn.video.naming import TAR


@dataclass(slots=True)
class _Listed:
    """What the rows read so far say of one video."""

    video: Video
    where: str
    parts: dict[int, str] = field(default_factory=dict)


def read_lists(dataset: ListDataset, on_disk: Scan) -> tuple[list[str], list[Video], list[str]]:
    """Classes in label order, videos, and a sentence for every row that is invalid.

    The splits of the videos are empty where the lists name no parts. Paths are relative to the
    video folder; groups are those of the lists, and otherwise all clips of a file.

    Raises:
        UserError: a list cannot be read, or names no split that is wanted.
    """
    files = _Files(on_disk, Path(dataset.videos))
    problems: list[str] = []
    listed: dict[str, _Listed] = {}
    read = []
    for split, part, file in _annotation_files(dataset):
        with about_key(f"datasets.{dataset.name}.annotations"):
            rows, invalid = read_annotations(file, dataset.columns, dataset.multi_label)
        problems += invalid
        read += [(split, row.part or part, row) for row in rows]
    with about_key(f"datasets.{dataset.name}.class_list"):
        names = read_class_list(_home(dataset.class_list)) if dataset.class_list else {}
    labels = {plain_number(part) for _, _, row in read for part in row.label.split("|")}
    names = _counted_alike(names, labels)
    # From a number or code of a class, or its name, to its name.
    known = {name: name for name in names.values()} | names
    read.reverse()
    while read:  # a row is a kilobyte, and there may be a million
        split, part, row = read.pop()
        try:
            _add(dataset, listed, files.video(row, known), row, split, part)
        except InvalidRowError as error:
            problems.append(f"{row.where}: {error}")
    sides = sides_of({part for entry in listed.values() for part in entry.parts.values()}, dataset)
    # Videos of the same parts share one map: there may be a million.
    splits = {
        parts: {n: side for n, part in parts if (side := sides[part])}
        for parts in {tuple(entry.parts.items()) for entry in listed.values()}
    }
    videos = [
        replace(entry.video, splits=splits[tuple(entry.parts.items())]) for entry in listed.values()
    ]
    found = {name for video in videos for name in video.classes}
    if names:
        classes = [name for name in dict.fromkeys(names.values()) if name in found]
    elif all(name.isdecimal() for name in found):
        classes = sorted(found, key=number_order)
    else:
        classes = sorted(found)
    rank = {name: n for n, name in enumerate(classes)}
    videos = [
        video.with_classes(sorted(video.classes, key=rank.__getitem__)) if video.others else video
        for video in videos
    ]
    return classes, videos, problems


def _counted_alike(names: dict[str, str], labels: set[str]) -> dict[str, str]:
    """The classes by the numbers of the lists, where these count from 0 and the classes from 1.

    Or the other way round. Else they stay as they are.
    """
    numbers = {str(n): name for n, name in enumerate(names.values(), start="0" not in names)}
    if names != numbers or not all(label.isdecimal() for label in labels) or labels <= {*names}:
        return names
    others = {str(n): name for n, name in enumerate(names.values(), start="0" in names)}
    return others if labels <= {*others} else names


def _annotation_files(dataset: ListDataset) -> Iterator[tuple[int, str, Path]]:
    """Split, part ("" if the file is for its rows to say) and name of every list."""
    key, found = f"datasets.{dataset.name}.annotations", dataset.annotations
    if not (isinstance(found, dict) and all(str(name).isdecimal() for name in found)):
        found = {"1": found}
    elif absent := [n for n in dataset.splits if n not in {int(name) for name in found}]:
        raise UserError(f"{key}: there is no list for split {absent[0]}; add it, or change splits")
    for number, parts in found.items():
        if int(number) not in dataset.splits:
            continue
        for part, files in parts.items() if isinstance(parts, dict) else [("", parts)]:
            if part and kind_of(part) is None and part not in dataset.parts:
                raise UserError(f"{key}: {part!r} is no part; name it train, val or test")
            for file in map(_home, [files] if isinstance(files, str) else files):
                for inside in sorted(file.glob("*.txt")) if file.is_dir() else [file]:
                    yield int(number), part, inside


def _home(name: str) -> Path:
    """The file, with ~ replaced; Path.expanduser() raises where there is no such user."""
    return Path(os.path.expanduser(name))  # noqa: PTH111


def _add(
    dataset: ListDataset,
    listed: dict[str, _Listed],
    video: Video,
    row: Row,
    split: int,
    part: str,
) -> None:
    part = part.strip().lower()
    if part and kind_of(part) is None and part not in dataset.parts:
        raise InvalidRowError(f"column split: {part!r} is not train, val or test")
    known = listed.setdefault(video.id, _Listed(video, row.where))
    if known.where == row.where and not known.parts:
        if part:
            known.parts[split] = part
        return
    before = known.where.rpartition("/")[2]
    if not dataset.multi_label and known.video.classes != video.classes:
        raise InvalidRowError(
            f"{video.id!r} is of class {video.class_text!r} here and of {known.video.class_text!r} "
            f"in {before}; where videos have several classes, set multi_label: true"
        )
    if not dataset.multi_label and (not part or known.parts.get(split) == part):
        raise InvalidRowError(f"{video.id!r} is there already, in {before}")
    if part and known.parts.setdefault(split, part) != part:
        raise InvalidRowError(f"{video.id!r} is a {known.parts[split]} video already, in {before}")
    if dataset.multi_label:
        both = dict.fromkeys((*known.video.classes, *video.classes))
        known.video = known.video.with_classes([*both])


def _classes(label: str, names: Mapping[str, str]) -> list[str]:
    """The classes of a label: one, or several that vertical bars separate.

    Raises:
        InvalidRowError: `names` has classes, and not this one; or there is none.
    """

    def named(part: str) -> str:
        return names.get(plain_number(part)) or names.get(part, "")

    if name := named(label):  # it may have a bar
        return [name]
    parts = [part.strip() for part in label.split("|")] if "|" in label else [label]
    parts = [*dict.fromkeys(filter(None, parts))]
    if not parts:
        raise InvalidRowError(f"column label: {label!r} names no class")
    if not names:
        return parts
    classes = [named(part) for part in parts]
    for part, name in zip(parts, classes, strict=True):
        if not name:
            raise InvalidRowError(f"column label: there is no class {part!r} in class_list")
        if "|" in name:
            raise InvalidRowError(f"column label: {part!r} cannot be one of several, for its |")
    return [*dict.fromkeys(classes)]


class _Files:
    """Finds the files that rows name: with or without ending, and by a bare name in any folder."""

    def __init__(self, on_disk: Scan, root: Path):
        self._names, self._root = NamesOnDisk(on_disk), os.path.abspath(root)  # noqa: PTH100
        # Moments in Time's lists leave out the folders training/ and validation/.
        self._parts = ["", *(f"{name}/" for name in on_disk.folders if kind_of(name))]

    def video(self, row: Row, names: Mapping[str, str]) -> Video:
        """The video of a row.

        Raises:
            InvalidRowError: its path leads out of the video folder, or its class is unknown.
        """
        classes = _classes(row.label, names)
        paths = [self._inside(name) for name in row.paths]
        trimmed = next(filter(None, map(self._find, row.trimmed)), "")
        whole = "" if trimmed else next(filter(None, map(self._find, paths)), "")
        path = trimmed or whole or (row.trimmed or paths)[0]
        span = row.span if whole or not row.trimmed else None
        name = without_suffix(path.removesuffix(TAR))
        return Video(
            row.id or (f"{name}#{span}".replace(" ", "") if span else name),
            path,
            classes[0],
            group=row.group or name,
            span=span,
            others=tuple((name, -1) for name in classes[1:]),
        )

    def _find(self, path: str) -> str:
        for part in self._parts:
            if found := self._names.find(f"{part}{path}"):
                return found
        anywhere = [] if "/" in path else self._names.anywhere(path)
        if len(anywhere) > 1:
            raise InvalidRowError(
                f"column path: {path!r} is in several folders, as {anywhere[0]!r} and "
                f"{anywhere[1]!r}; write the folder, too"
            )
        return anywhere[0] if anywhere else ""

    def _inside(self, path: str) -> str:
        """Relative to the video folder, with "/" between the parts."""
        inside = os.path.relpath(path, self._root) if path.startswith("/") else path
        parts = [part for part in inside.split("/") if part not in ("", ".")]
        if not parts or ".." in parts or "\0" in path:
            raise InvalidRowError(f"column path: {path!r} leaves the video folder")
        return "/".join(parts)
