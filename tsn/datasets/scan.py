"""What is on disk below a video folder. Reads directories only, and imports nothing heavy."""

import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tsn.datasets.records import MISSING
from tsn.video.naming import TAR, Naming, folder_of, number_of

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
        of_frames: whether `files` are folders and archives of frames instead of video files.
    """

    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    of_frames: bool = False

    def videos(self) -> Iterator[tuple[str, str]]:
        """Path without ending, and path, of every video."""
        for path in self.files:
            if self.of_frames:
                yield path.removesuffix(TAR), path
            elif is_video(path):
                yield without_suffix(path), path


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


def scan_frame_folders(root: str, naming: Naming) -> Scan:
    """List the folders that hold frames, and tar archives of frames, recursively.

    Images are not listed: a folder is one of frames if one of its files is called so. Its stamp is
    the modification time of the folders of its frames and flow, which changes as images come and
    go, not as one is overwritten.

    Raises:
        OSError: the folder itself cannot be read. What cannot be read below it is reported.
    """
    found = Scan(of_frames=True)
    top = Path(root).stat()
    _scan_folders(root, "", naming, found, [(top.st_dev, top.st_ino)])
    return found


def _scan_folders(root: str, below: str, naming: Naming, found: Scan, above: list) -> None:
    """Scan the folder `root`/`below`, whose device and inode are the last of those `above` it."""
    with os.scandir(os.path.join(root, below)) as entries:  # noqa: PTH118 - many
        inside = sorted(entries, key=lambda entry: entry.name)
    if below and not inside:
        found.others.append(below)
    for entry in inside:
        path = f"{below}{entry.name}"
        try:
            if is_side_file(entry.name):
                continue
            if not entry.is_dir():
                if entry.name.endswith(TAR) and _archives_frames(entry.path, naming.rgb):
                    found.files[path] = _stamp(entry, path, found)
                else:
                    found.others.append(path)
                continue
            if not below:
                found.folders.append(path)
            if _has_frames(Path(entry.path), naming.rgb):
                found.files[path] = _stamp_of_frames(Path(entry.path), naming)
                continue
            status = entry.stat()
            this = status.st_dev, status.st_ino
            if this in above:
                found.unreadable[f"{path}/"] = "links to a folder above it"
                continue
            _scan_folders(root, f"{path}/", naming, found, [*above, this])
        except OSError as error:
            found.unreadable[path] = error.strerror or str(error)


def _has_frames(folder: Path, template: str) -> bool:
    number = number_of(template)
    try:
        with os.scandir(folder_of(template, folder)) as entries:
            return any(number(entry.name) is not None for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _archives_frames(archive: str, template: str) -> bool:
    """Whether the first file of a tar archive is a frame, and not flow."""
    try:
        with tarfile.open(archive, "r:") as members:
            first = next((m for m in members if m.isreg()), None)
    except tarfile.TarError:
        return False
    path = Path(os.path.normpath(first.name)) if first else Path()
    return path.parent == Path(template).parent and number_of(template)(path.name) is not None


def _stamp_of_frames(video: Path, naming: Naming) -> str:
    folders = dict.fromkeys(folder_of(t, video) for t in (naming.rgb, *(naming.flow or ())))
    times = []
    for folder in folders:
        with suppress(OSError):  # flow that is not there is found as the shards are made
            times.append(str(folder.stat().st_mtime_ns))
    return " ".join(times)


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
