"""Flow of videos as shards, those the pipeline makes, without an index or a config."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from tsn.datasets.records import Video
from tsn.flow.build import quantised_part
from tsn.flow.build_warped import warped_rows
from tsn.flow.export.blocks import Options, blocks
from tsn.flow.export.plan import Job
from tsn.flow.warped import WarpedFlow
from tsn.runtime.job import code_version
from tsn.runtime.progress import Advance, progress
from tsn.shards.build import add_parts
from tsn.shards.format import Shard, write_shard
from tsn.video.decode import VideoError, decoder_versions

RowsOf = Callable[[Video, Advance], Iterator[np.ndarray]]


class _NothingUsableError(Exception):
    """Ends the writing of a shard that no video would be in."""


def export_shards(
    job: Job, options: Options, lengths: Mapping[Video, int]
) -> dict[Video, VideoError]:
    """Write the flow of the job's videos into one shard and, if wanted, warped flow into another.

    Their rows and fingerprints are those of the pipeline's shards.

    Args:
        job: outputs "flow" and maybe "warped_flow".
        options: `size` must be given.
        lengths: pairs that each video seems to have.

    Returns:
        What is wrong with each video that could not be used; it has a row that says so. If no
        video can be used, no file is written.
    """
    failures: dict[Video, VideoError] = {}
    plain = replace(options, warped=False)

    def flow_rows(source: Video, advance: Advance) -> Iterator[np.ndarray]:
        return (block.flow for block in blocks(source.path, plain, advance))

    try:
        total = sum(lengths.values())
        with progress(total, "pairs", "flow") as advance:
            made_by = options.tvl1.fingerprint
            _write(job, "flow", options, made_by, flow_rows, failures, advance)
        if "warped_flow" in job.outputs:
            with (
                Shard(job.outputs["flow"]) as first,
                progress(total, "pairs", "warped flow") as advance,
            ):
                undo = WarpedFlow(options.tvl1, options.threads)

                def rows(source: Video, advance: Advance) -> Iterator[np.ndarray]:
                    for block in warped_rows(undo, first, source, options.bound):
                        yield block
                        advance(len(block))

                _write(job, "warped_flow", options, undo.fingerprint, rows, failures, advance)
    except _NothingUsableError:
        pass
    return failures


def _write(
    job: Job,
    stream: str,
    options: Options,
    made_by: dict,
    rows_of: RowsOf,
    failures: dict[Video, VideoError],
    advance: Advance,
) -> None:
    fingerprint = {**made_by, "size": list(options.size), "bound": options.bound}
    made_with = {**decoder_versions(), "tsn": code_version()}
    path = job.outputs[stream]
    with write_shard(path, stream, options.size, fingerprint, made_with) as writer:
        for source in job.sources:
            if source not in failures:
                try:
                    parts = (
                        quantised_part(flow, options.bound) for flow in rows_of(source, advance)
                    )
                    add_parts(writer, source, parts)
                    continue
                except VideoError as error:
                    failures[source] = error
            error = failures[source]
            writer.quarantine(source.id, source.class_name, error.status, str(error))
        if len(failures) == len(job.sources):
            raise _NothingUsableError
