"""Optical flow of videos, written to files of one's choice: the work of `python -m tsn.flow`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tsn.datasets.records import Video
from tsn.flow.draw import colour_code, strip
from tsn.flow.export.blocks import Options, blocks, sample
from tsn.flow.export.formats import Write, flo_folder, mp4_file, npy_file, write_png
from tsn.flow.export.pictures import colour_scale, limited, ruled
from tsn.flow.export.plan import Job
from tsn.flow.export.shards import export_shards
from tsn.runtime.progress import Advance, progress
from tsn.video.errors import VideoError
from tsn.video.isolation import probe

FieldWriter = Callable[[Path], AbstractContextManager[Write]]

COLUMNS = 4
"""Pairs that a strip shows."""

SAMPLE = 8
"""Pairs that the colours of a video are fitted to."""


def export(jobs: Sequence[Job], format: str, options: Options) -> dict[Video, VideoError]:
    """Do the jobs, telling on stderr how far they are.

    Args:
        jobs: as `plan_jobs` lays them down.
        format: one of `tsn.flow.export.plan.ENDINGS`.
        options: how.

    Returns:
        What is wrong with each video that could not be used. It leaves no output.
    """
    lengths = {source: _pairs(source.path) for job in jobs for source in job.sources}
    if format == "h5":
        return export_shards(jobs[0], options, lengths)
    write = _WRITERS[format]
    total = sum(min(n, COLUMNS) if format == "png" else n for n in lengths.values())
    failures = {}
    with progress(total, "pairs", "flow and warped flow" if options.warped else "flow") as advance:
        for job in jobs:
            try:
                write(job, options, advance)
            except VideoError as error:
                failures[job.sources[0]] = error
    return failures


def _pairs(video: str) -> int:
    """How many pairs a video seems to have; what is wrong with a bad one shows in time."""
    try:
        return max(0, probe(video)[0] - 1)
    except VideoError:
        return 0


def _write_fields(writer: FieldWriter, job: Job, options: Options, advance: Advance) -> None:
    with ExitStack() as files:
        writers = {kind: files.enter_context(writer(path)) for kind, path in job.outputs.items()}
        needed = replace(options, warped="warped_flow" in job.outputs)
        for block in blocks(job.sources[0].path, needed, advance):
            for kind, write in writers.items():
                write(getattr(block, kind))


def _write_mp4(job: Job, options: Options, advance: Advance) -> None:
    video = job.sources[0].path
    scale = options.max_magnitude
    if scale is None:
        scale = colour_scale(sample(video, replace(options, warped=False), SAMPLE).flow)
    with mp4_file(job.outputs["flow"], probe(video)[1]) as write:
        for block in blocks(video, options, advance):
            parts = [block.frames[:-1]]
            for flow in (block.flow, block.warped_flow):
                if flow is not None:
                    fields = limited(flow, scale)
                    parts.append(np.stack([colour_code(field, scale) for field in fields]))
            write(ruled(np.concatenate(parts, axis=2), *block.flow.shape[2:]))


def _write_png(job: Job, options: Options, advance: Advance) -> None:
    shown = sample(job.sources[0].path, options, COLUMNS)
    scale = options.max_magnitude or colour_scale(shown.flow)
    fields = [
        flow if flow is None else limited(flow, scale) for flow in (shown.flow, shown.warped_flow)
    ]
    picture = strip(shown.frames, *fields, COLUMNS, scale)
    write_png(job.outputs["flow"], ruled(picture, *shown.flow.shape[2:]))
    advance(len(shown.flow))


_WRITERS = {
    "flo": partial(_write_fields, flo_folder),
    "npy": partial(_write_fields, npy_file),
    "mp4": _write_mp4,
    "png": _write_png,
}
