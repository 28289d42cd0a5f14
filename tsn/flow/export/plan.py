"""From the names on the command line of `python -m tsn.flow` to its videos and outputs.

All errors in the names are found here, before the first video is decoded.
"""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tsn.datasets.records import Video
from tsn.datasets.video_files import find_video_files, without_endings
from tsn.runtime.errors import UserError

ENDINGS = {
    **{"h5": ".h5", "npy": ".npy", "flo": "", "kitti": "", "jpg": "", "zip": ".zip"},
    **{"mp4": ".mp4", "png": ".png"},
}
"""What the outputs of each format end in; those without an ending are folders."""

FIELDS = ("h5", "npy", "flo", "kitti", "jpg", "zip")
"""Formats of flow itself, with warped flow in a file of its own; the others are figures of both."""

_FIELD_NAME = re.compile(r"\d{6,}\.(flo|png)|flow_[xy]_\d{5,}\.jpg")


@dataclass(frozen=True)
class Target:
    """Where to write, absolute, and in which format; `single` if `path` is one file.

    A single file is written under exactly this name, whatever the case of its ending.
    """

    path: Path
    format: str
    single: bool


@dataclass(frozen=True)
class ExportJob:
    """Outputs that are made together, by kind ("flow" or "warped_flow"), from some videos."""

    sources: tuple[Video, ...]
    outputs: dict[str, Path]


def choose_target(out: str, wanted: str | None) -> Target:
    """Return what the output's name, and the requested format if any, stand for.

    Raises:
        UserError: the name and the format do not go together, or do not say enough.
    """
    path = _absolute(out)
    if not out or path.name.lower() in ENDINGS.values():
        raise UserError(f"-o {out!r}: this is no name; name a folder, or a file such as flow.h5")
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise UserError(f"-o {out}: {str(parent)!r} is a file, not a folder; choose another -o")
    ending = path.suffix.lower()
    formats = {suffix: name for name, suffix in ENDINGS.items() if suffix} | {".flo": "flo"}
    if path.is_dir() or out.endswith("/"):
        return Target(path, wanted or "h5", single=False)
    if ending not in formats:
        if path.exists():
            raise UserError(f"-o {out}: this is a file; name a folder, or a new file of a format")
        if ending and wanted is None:
            raise UserError(
                f"-o {out}: no file of flow ends in {ending}, only in "
                f"{', '.join(filter(None, ENDINGS.values()))}; if it is a folder, end it in /"
            )
        return Target(path, wanted or "h5", single=False)
    if wanted not in (None, formats[ending]):
        raise UserError(f"-o {out}: this name does not go with --format {wanted}; change one")
    if formats[ending] == "flo":
        raise UserError(f"-o {out}: a .flo file holds one pair; name a folder, with --format flo")
    return Target(path, formats[ending], single=True)


def find_videos(inputs: Iterable[str], target: Target) -> list[Video]:
    """List the videos that files and folders stand for, each once, in the order given.

    A video's id is its path below the folder that all inputs share, without the ending if that
    makes no two the same; its class is the folder it is in, if that is not the shared one. A file
    is taken whatever its ending; of a folder, every video below it, hidden ones and those in the
    output folder left out.

    Raises:
        UserError: an input does not exist, or a folder has no video.
    """
    found, common = find_video_files(inputs, exclude=target.path)
    names = [os.path.relpath(path, common) for path in found]
    return [
        Video(video_id, str(path), PurePosixPath(name).parent.name)
        for video_id, path, name in zip(without_endings(names), found, names, strict=True)
    ]


def plan_jobs(
    sources: Sequence[Video], target: Target, warped: bool = False, force: bool = False
) -> tuple[list[ExportJob], int]:
    """Plan which outputs are made from which videos.

    Args:
        sources: the videos, as `find_videos` lists them.
        target: where to and what.
        warped: whether warped flow is wanted too.
        force: whether outputs that exist are made anew. If not, those of videos in a folder are
            kept, and any other is an error.

    Returns:
        The jobs, and how many outputs are kept.

    Raises:
        UserError: an output would overwrite something it must not.
    """
    if target.format == "h5":
        path = target.path if target.single else target.path / "flow.h5"
        jobs = [ExportJob(tuple(sources), _outputs(path, "h5", warped))]
    elif target.single:
        if len(sources) > 1:
            raise UserError(
                f"-o {target.path.name}: this file can show one video, and there are "
                f"{len(sources)}; name a folder, with --format {target.format}"
            )
        jobs = [ExportJob((sources[0],), _outputs(target.path, target.format, warped))]
    else:
        ending = ENDINGS[target.format]
        jobs = [
            ExportJob(
                (source,), _outputs(target.path / f"{source.id}{ending}", target.format, warped)
            )
            for source in sources
        ]
    _check_apart(jobs)
    if force:
        for job in jobs:
            _check_replaceable(job)
        return jobs, 0
    return _without_existing(jobs, optional=target.format != "h5" and not target.single)


def _absolute(name: str) -> Path:
    # Path.resolve() would follow links, and call a video by the name of what it links to.
    return Path(os.path.abspath(name))  # noqa: PTH100


def _outputs(path: Path, format: str, warped: bool) -> dict[str, Path]:
    outputs = {"flow": path}
    if warped and format in FIELDS:
        # Dots in a video's name begin no ending.
        ending = path.name[len(path.name) - len(ENDINGS[format]) :]
        stem = path.name.removesuffix(ending) if ending else path.name
        outputs["warped_flow"] = path.with_name(f"{stem}.warped{ending}")
    return outputs


def _clash(first: Video, second: str, name: str | Path) -> UserError:
    return UserError(
        f"{first.path!r} and {second!r} would both be written as {str(name)!r}; "
        "rename one, or run them apart"
    )


def _check_apart(jobs: Sequence[ExportJob]) -> None:
    """Check that no output is another one, lies in another one, or is one of the videos."""
    same = _casefolded if _ignores_case(next(iter(jobs[0].outputs.values())).parent) else str
    owners = {same(path): job.sources[0] for job in jobs for path in job.outputs.values()}
    videos = {_identity(Path(source.path)) for job in jobs for source in job.sources}
    for job in jobs:
        for path in job.outputs.values():
            for place in (path, *path.parents):
                owner = owners.get(same(place), job.sources[0])
                if owner is not job.sources[0]:
                    raise _clash(owner, job.sources[0].path, place)
            if _identity(path) in videos:
                raise UserError(
                    f"{str(path)!r}: this output would overwrite an input; choose another -o"
                )


def _identity(path: Path) -> tuple[int, int] | str:
    """What two names of one file have in common: links, and case where the disk ignores it."""
    try:
        status = path.stat()
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _casefolded(path: Path) -> str:
    return str(path).casefold()


def _ignores_case(folder: Path) -> bool:
    """Whether names that differ in case are one on the disk that a folder is, or will be, on."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    other = there.with_name(there.name.swapcase()) if there.name else there
    return other != there and other.exists() and other.samefile(there)


def _exists(path: Path) -> bool:
    """Whether something is there; an empty folder is as good as nothing."""
    return any(path.iterdir()) if path.is_dir() else os.path.lexists(path)


def _check_replaceable(job: ExportJob) -> None:
    for path in job.outputs.values():
        for inside in path.iterdir() if path.is_dir() else ():
            if not _FIELD_NAME.fullmatch(inside.name):
                raise UserError(
                    f"{str(path)!r}: --force would remove {inside.name!r} in this folder, which "
                    "is no flow; move it, or choose another -o"
                )


def _without_existing(jobs: Sequence[ExportJob], optional: bool) -> tuple[list[ExportJob], int]:
    left, kept = [], 0
    for job in jobs:
        existing = {kind: path for kind, path in job.outputs.items() if _exists(path)}
        if existing and not optional:
            path = next(iter(existing.values()))
            raise UserError(f"{str(path)!r} exists; add --force to replace it, or change -o")
        kept += len(existing)
        missing = {kind: path for kind, path in job.outputs.items() if kind not in existing}
        if missing:
            left.append(ExportJob(job.sources, missing))
    return left, kept
