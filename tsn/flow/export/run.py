"""Optical flow of videos, written in the chosen format: the work of `python -m tsn.flow`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tsn.datasets.records import Video
from tsn.flow.draw import colour_code, strip
from tsn.flow.export.chunks import Options, flow_chunks, sample_pairs
from tsn.flow.export.figures import add_grid_lines, colour_scale, limit_magnitude
from tsn.flow.export.formats import (
    Write,
    field_folder,
    flo_bytes,
    image_files,
    kitti_bytes,
    mp4_file,
    npy_file,
    write_png,
)
from tsn.flow.export.plan import ExportJob
from tsn.flow.export.shards import export_shards
from tsn.runtime.errors import DiskFullError, UserError
from tsn.runtime.progress import Advance, progress
from tsn.shards.folders import ImageWriter, image_folder, image_zip
from tsn.video.errors import VideoError
from tsn.video.isolation import probe
from tsn.video.naming import NAMINGS, Naming

FieldWriter = Callable[[Path], AbstractContextManager[Write]]

COLUMNS = 4
"""Pairs that a PNG shows."""

SAMPLE = 8
"""Pairs that the colours of a video are fitted to."""


def export(jobs: Sequence[ExportJob], format: str, options: Options) -> dict[Video, Exception]:
    """Run the jobs, with a progress bar on stderr.

    Args:
        jobs: as `plan_jobs` plans them.
        format: one of `tsn.flow.export.plan.ENDINGS`.
        options: how flow is computed and drawn.

    Returns:
        The error of each video that is bad or whose output cannot be written.
    """
    lengths = {source: _pairs(source.path) for job in jobs for source in job.sources}
    if format == "h5":
        return {**export_shards(jobs[0], options, lengths)}
    write = _WRITERS[format]
    total = sum(min(n, COLUMNS) if format == "png" else n for n in lengths.values())
    failures: dict[Video, Exception] = {}
    with progress(total, "pairs", "flow and warped flow" if options.warped else "flow") as advance:
        for job in jobs:
            try:
                write(job, options, advance)
            except DiskFullError:
                raise
            except (VideoError, UserError, OSError) as error:
                failures[job.sources[0]] = error
    return failures


def _pairs(video: str) -> int:
    """Estimated number of pairs of a video, without decoding it; 0 for a bad one."""
    try:
        return max(0, probe(video)[0] - 1)
    except VideoError:
        return 0


def _write_fields(writer: FieldWriter, job: ExportJob, options: Options, advance: Advance) -> None:
    with ExitStack() as files:
        writers = {kind: files.enter_context(writer(path)) for kind, path in job.outputs.items()}
        needed = replace(options, warped="warped_flow" in job.outputs)
        for chunk in flow_chunks(job.sources[0].path, needed, advance):
            for kind, write in writers.items():
                write(getattr(chunk, kind))


def _write_images(
    opened: Callable[[Path, Naming], AbstractContextManager[ImageWriter]],
    job: ExportJob,
    options: Options,
    advance: Advance,
) -> None:
    def writer(path: Path) -> AbstractContextManager[Write]:
        return image_files(opened(path, NAMINGS[options.naming]), options.bound)

    _write_fields(writer, job, options, advance)


def _write_mp4(job: ExportJob, options: Options, advance: Advance) -> None:
    video = job.sources[0].path
    scale = options.max_magnitude
    if scale is None:
        scale = colour_scale(sample_pairs(video, replace(options, warped=False), SAMPLE).flow)
    with mp4_file(job.outputs["flow"], probe(video)[1]) as write:
        for chunk in flow_chunks(video, options, advance):
            parts = [chunk.frames[: len(chunk.flow)]]
            for flow in (chunk.flow, chunk.warped_flow):
                if flow is not None:
                    fields = limit_magnitude(flow, scale)
                    parts.append(np.stack([colour_code(field, scale) for field in fields]))
            write(add_grid_lines(np.concatenate(parts, axis=2), *chunk.flow.shape[2:]))


def _write_png(job: ExportJob, options: Options, advance: Advance) -> None:
    shown = sample_pairs(job.sources[0].path, options, COLUMNS)
    scale = options.max_magnitude or colour_scale(shown.flow)
    warped = shown.warped_flow
    figure = strip(
        shown.frames,
        limit_magnitude(shown.flow, scale),
        None if warped is None else limit_magnitude(warped, scale),
        COLUMNS,
        scale,
    )
    write_png(job.outputs["flow"], add_grid_lines(figure, *shown.flow.shape[2:]))
    advance(len(shown.flow))


_WRITERS: dict[str, Callable[[ExportJob, Options, Advance], None]] = {
    "flo": partial(_write_fields, partial(field_folder, ending=".flo", encode=flo_bytes)),
    "kitti": partial(_write_fields, partial(field_folder, ending=".png", encode=kitti_bytes)),
    "jpg": partial(_write_images, image_folder),
    "zip": partial(_write_images, image_zip),
    "npy": partial(_write_fields, npy_file),
    "mp4": _write_mp4,
    "png": _write_png,
}
