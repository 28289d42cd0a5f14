"""Where `python -m tsn.predict` writes; all errors in the names are found before any work."""

import os
from collections.abc import Sequence
from pathlib import Path

from tsn.datasets.video_files import without_endings
from tsn.runtime.errors import UserError

_ENDINGS = {"strip": ".png", "video": ".mp4", "saliency": ".png"}


def plan_outputs(
    videos: Sequence[Path],
    json: str | None,
    strip: str | None,
    video: str | None,
    timeline: str | None = None,
    saliency: str | None = None,
) -> dict[Path, dict[str, Path]]:
    """Choose the files that show each video.

    Args:
        videos: absolute paths.
        json: value of --json, if it was given.
        strip: value of --strip: a .png, or a folder.
        video: value of --video: an .mp4, or a folder.
        timeline: value of --timeline: a folder.
        saliency: value of --saliency: a .png, or a folder.

    Returns:
        By video: the figures to write, by kind, "strip", "video" or "saliency"; and for
        "timeline" a path without an ending, which several files share.

    Raises:
        UserError: an output is of the wrong kind, or would overwrite a video.
    """
    outputs: dict[Path, dict[str, Path]] = {path: {} for path in videos}
    names = names_of(videos)
    for kind, target in (("strip", strip), ("video", video), ("saliency", saliency)):
        if target is None:
            continue
        ending, path = _ENDINGS[kind], Path(target)
        is_folder = path.is_dir() or target.endswith(os.sep) or not path.suffix
        if (
            not target
            or (is_folder and path.is_file())
            or (not is_folder and path.suffix.lower() != ending)
        ):
            raise UserError(
                f"--{kind} {target}: name a file that ends in {ending}, or a folder (end it in /)"
            )
        if not is_folder and len(videos) > 1:
            raise UserError(
                f"--{kind} {target}: this file can show one video, and there are {len(videos)}; "
                "name a folder"
            )
        for source in videos:
            outputs[source][kind] = path / f"{names[source]}{ending}" if is_folder else path
    if timeline is not None:
        if not timeline or Path(timeline).is_file():
            raise UserError(f"--timeline {timeline}: this is no folder; name one")
        for source in videos:
            outputs[source]["timeline"] = Path(timeline) / names[source]
    if json is not None and (not json or Path(json).is_dir()):
        raise UserError(f"--json {json}: this is a folder; name a file")
    written = [path for figures in outputs.values() for path in figures.values()]
    if json and os.path.realpath(json) in map(os.path.realpath, written):
        raise UserError(f"--json {json}: this is the file of a figure as well; name another one")
    _check_no_video(videos, [*written, *([Path(json)] if json else [])])
    return outputs


def names_of(videos: Sequence[Path]) -> dict[Path, str]:
    """A name of its own for each video: its path below the folder that all share.

    Without the ending, unless two would have the same name.
    """
    shared = os.path.commonpath([path.parent for path in videos])
    names = without_endings([os.path.relpath(path, shared) for path in videos])
    return dict(zip(videos, names, strict=True))


def _check_no_video(videos: Sequence[Path], outputs: Sequence[Path]) -> None:
    # Files and not names are compared: a link, or a name in other case, may be the same file.
    files = {(status.st_dev, status.st_ino) for path in videos if (status := _status(path))}
    for path in outputs:
        if (status := _status(path)) and (status.st_dev, status.st_ino) in files:
            raise UserError(f"{str(path)!r}: this output would overwrite a video; choose another")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
