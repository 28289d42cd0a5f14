"""The video files that the names on a command line stand for."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tsn.datasets.scan import VIDEO_SUFFIXES, is_video
from tsn.runtime.errors import UserError

logger = logging.getLogger("tsn")


def find_video_files(inputs: Iterable[str], exclude: Path | None = None) -> tuple[list[Path], Path]:
    """List the videos that files and folders stand for, each once, in the order given.

    A file is taken whatever its ending; of a folder, every video below it, through links to folders
    too, but hidden ones. A folder below that cannot be read is left out with a warning.

    Args:
        inputs: names of files and folders.
        exclude: a folder whose videos are left out, unless it is an input itself.

    Returns:
        Absolute paths, in which links are not resolved; and the folder that all inputs share.

    Raises:
        UserError: an input does not exist or cannot be read, or a folder has no video.
    """
    found: dict[Path, None] = {}
    roots = []
    for name in inputs:
        # Path.resolve() would follow links, and call a video by the name of what it links to.
        path = Path(os.path.abspath(name))  # noqa: PTH100
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir() raises where permission is denied
            videos = sorted(_below(path, exclude))
            if not videos:
                raise UserError(
                    f"{name!r}: no video in this folder or below; name another one "
                    f"(a video ends in {', '.join(sorted(VIDEO_SUFFIXES))})"
                )
            roots.append(path)
        elif os.path.lexists(path):
            videos = [path]
            roots.append(path.parent)
        else:
            raise UserError(f"{name!r}: there is no such file or folder; check the name")
        found.update(dict.fromkeys(videos))
    return list(found), Path(os.path.commonpath(roots))


def without_endings(names: Sequence[str]) -> list[str]:
    """Names of files without their endings, but for those of which two would become the same.

    Examples:
        >>> without_endings(["a.mp4", "b.avi", "b.mp4", "b.avi.mp4"])
        ['a', 'b.avi', 'b.mp4', 'b.avi.mp4']
    """
    return unique_names([os.path.splitext(name)[0] for name in names], names)


def unique_names(short: Sequence[str], whole: Sequence[str]) -> list[str]:
    """The short name of each file, or the whole one where the short one is another's, too."""
    # The short name of a file may also be the whole name of another.
    taken = Counter([*short, *{*short} & {*whole}])
    return [s if taken[s] == 1 else name for s, name in zip(short, whole, strict=True)]


def _below(folder: Path, exclude: Path | None) -> Iterator[Path]:
    """Videos below a folder; each folder once, whatever links to it."""

    def report(error: OSError) -> None:
        if Path(error.filename) == folder:
            raise UserError(f"{str(folder)!r}: cannot be read ({error.strerror}); check its rights")
        logger.warning("%r: left out, cannot be read (%s)", error.filename, error.strerror)

    seen = set()
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=report):
        real = os.path.realpath(parent)
        if real in seen or (Path(parent) == exclude and exclude != folder):
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in files:
            if not name.startswith(".") and is_video(name):
                yield Path(parent, name)
