"""Flow of videos as the pipeline's shards, without an index or a config."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from tsn.datasets.records import Video
from tsn.flow.build import quantised_part
from tsn.flow.build_warped import warped_flow_fields
from tsn.flow.export.chunks import Options, flow_chunks
from tsn.flow.export.plan import ExportJob
from tsn.flow.warped import WarpedFlow
from tsn.runtime.job import code_version
from tsn.runtime.progress import Advance, progress
from tsn.shards.build import add_parts
from tsn.shards.format import Shard, write_shard
from tsn.video.decode import ANY_LENGTH, decoder_versions
from tsn.video.errors import VideoError

FlowOf = Callable[[Video, Advance], Iterator[np.ndarray]]
"""Gives a video's flow or warped flow, (n, 2, H, W) in px, some pairs at a time."""


class _NoUsableVideoError(Exception):
    """Ends the writing of a shard that would hold no video."""


def export_shards(
    job: ExportJob, options: Options, lengths: Mapping[Video, int]
) -> dict[Video, VideoError]:
    """Write the flow of the job's videos into one shard and, if wanted, warped flow into another.

    Their flow fields and fingerprints are those of the pipeline's shards.

    Args:
        job: outputs "flow" and maybe "warped_flow".
        options: `size` must be set.
        lengths: estimated number of pairs of each video.

    Returns:
        The error of each bad video; the shard holds it as quarantined. If no video can be used,
        no file is written.
    """
    failures: dict[Video, VideoError] = {}
    plain = replace(options, warped=False)

    def flow_of(source: Video, advance: Advance) -> Iterator[np.ndarray]:
        return (chunk.flow for chunk in flow_chunks(source.path, plain, advance))

    try:
        total = sum(lengths.values())
        with progress(total, "pairs", "flow") as advance:
            _write(job, "flow", options, options.estimator.fingerprint, flow_of, failures, advance)
        if "warped_flow" in job.outputs:
            with (
                Shard(job.outputs["flow"]) as flow_shard,
                progress(total, "pairs", "warped flow") as advance,
            ):
                warped_flow = WarpedFlow(options.estimator, options.threads)

                def warped_flow_of(source: Video, advance: Advance) -> Iterator[np.ndarray]:
                    for fields in warped_flow_fields(
                        warped_flow, flow_shard, source, options.bound, ANY_LENGTH
                    ):
                        yield fields
                        advance(len(fields))

                made_by = warped_flow.fingerprint
                _write(job, "warped_flow", options, made_by, warped_flow_of, failures, advance)
    except _NoUsableVideoError:
        pass
    return failures


def _write(
    job: ExportJob,
    stream: str,
    options: Options,
    made_by: dict,
    flow_of: FlowOf,
    failures: dict[Video, VideoError],
    advance: Advance,
) -> None:
    size = options.size
    if size is None:
        raise ValueError("the videos of a shard have one size: options.size must be set")
    fingerprint = {**made_by, "size": list(size), "bound": options.bound}
    made_with = {**decoder_versions(), "tsn": code_version()}
    path = job.outputs[stream]
    with write_shard(path, stream, size, fingerprint, made_with) as writer:
        for source in job.sources:
            if source not in failures:
                try:
                    parts = (
                        quantised_part(flow, options.bound) for flow in flow_of(source, advance)
                    )
                    add_parts(writer, source, parts)
                    continue
                except VideoError as error:
                    failures[source] = error
            writer.quarantine(
                source.id, source.class_name, failures[source].status, str(failures[source])
            )
        if len(failures) == len(job.sources):
            raise _NoUsableVideoError
