"""What is on disk below a video folder. Reads directories only, and imports nothing heavy."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tsn.datasets.records import MISSING

VIDEO_SUFFIXES = frozenset([
    ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".mpe", ".wmv", ".asf",
    ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg", ".ts", ".mts", ".m2ts", ".vob", ".gif",
    ".divx", ".mxf", ".rm", ".rmvb", ".dv", ".nut", ".ivf", ".m1v", ".m2v", ".mjpg", ".mjpeg",
    ".264", ".h264", ".avc", ".265", ".h265", ".hevc", ".vc1", ".obu", ".y4m",
])  # fmt: skip
"""File name endings taken for videos in a folder; other files are reported as unlisted."""

_SIDE_FILES = frozenset([
    "thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "#recycle", "lost+found",
    "$recycle.bin", "system volume information",
])  # fmt: skip


def is_side_file(name: str) -> bool:
    """Whether a file is one that systems leave beside others: hidden, `Thumbs.db`, copies."""
    return name.startswith((".", "~$")) or name.endswith("~") or name.lower() in _SIDE_FILES


def is_video(path: str) -> bool:
    """Whether a file of a folder is taken for a video, by its name.

    The streams that yt-dlp joins to a video are none: `name.f137.mp4`, `name.temp.mp4`.
    """
    suffix = os.path.splitext(path)[1].lower()
    return suffix in VIDEO_SUFFIXES and not _DOWNLOADING.search(path)


_DOWNLOADING = re.compile(r"\.(temp|f\d{3,4}(-\w+)?)\.\w+$")


def without_suffix(path: str) -> str:
    """A path without its ending, if that is one of a video."""
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in VIDEO_SUFFIXES else path


@dataclass
class Scan:
    """What a folder holds; paths are relative to it, with "/" between their parts.

    Attributes:
        files: path -> stamp, size and modification time or `MISSING`.
        folders: paths of the folders at depth 1.
        others: files at the top, and folders below the greatest depth, which end in "/".
        unreadable: path -> reason, for what could not be read.
    """

    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def scan(root: str, depth: int | None = None) -> Scan:
    """List a folder recursively, following links; side files are skipped.

    Args:
        root: the folder.
        depth: of the files that are wanted: 2 for folder/file; None for any.

    Raises:
        OSError: the folder itself cannot be read. What cannot be read below it is reported.
    """
    found = Scan()
    _scan(root, "", depth, found, {os.path.realpath(root)}, list(_sorted(root)))
    return found


def _scan(
    root: str, below: str, depth: int | None, found: Scan, above: set[str], entries: list
) -> None:
    level = below.count("/") + 1
    for entry in entries:
        path = below + entry.name
        try:
            if not entry.is_dir():
                if depth is None or level == depth:
                    found.files[path] = _stamp(entry, path, found)
                else:
                    found.others.append(path)
                continue
            if level == 1:
                found.folders.append(path)
            if level == depth:
                found.others.append(f"{path}/")
                continue
            real = os.path.realpath(entry.path)
            if real in above:
                found.unreadable[f"{path}/"] = "links to a folder above it"
                continue
            inside = list(_sorted(entry.path))
        except OSError as error:
            found.unreadable[path] = error.strerror or str(error)
            continue
        _scan(root, f"{path}/", depth, found, {*above, real}, inside)


def _sorted(folder: str) -> Iterator[os.DirEntry]:
    with os.scandir(folder) as entries:
        chosen = [entry for entry in entries if not is_side_file(entry.name)]
    return iter(sorted(chosen, key=lambda entry: entry.name))


def _status(file: os.DirEntry) -> os.stat_result:
    return file.stat()


def _stamp(file: os.DirEntry, path: str, found: Scan) -> str:
    try:
        status = _status(file)
    except FileNotFoundError:  # a dangling link: as good as missing
        return MISSING
    except OSError as error:
        found.unreadable[path] = error.strerror or str(error)
        return MISSING
    return f"{status.st_size} {status.st_mtime_ns}"
