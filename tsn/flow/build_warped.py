"""Making warped-flow shards: videos and their flow shards to flow without the camera's motion."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsn.config.schema import FlowConfig
from tsn.datasets.records import Video
from tsn.flow.build import CHUNK, overlapping_chunks, quantised_part
from tsn.flow.quantise import dequantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.runtime.errors import UserError
from tsn.shards.build import Part, build_shard
from tsn.shards.format import Shard
from tsn.video.isolation import read_frames


def build_warped_shard(
    path: Path | str,
    flow_shard: Path | str,
    videos: list[Video],
    flow: FlowConfig,
    threads: int,
) -> None:
    """Compute and quantise the warped flow of one shard from its videos and its flow.

    Raises:
        UserError: if the flow shard is damaged or not of these videos.
    """
    undo = WarpedFlow(TVL1(flow.params, flow.backend, threads), threads)
    with Shard(flow_shard) as first:

        def parts_of(video: Video) -> Iterator[Part]:
            for rows in warped_rows(undo, first, video, flow.bound):
                yield quantised_part(rows, flow.bound)

        fingerprint = {**undo.fingerprint, "size": list(first.size), "bound": flow.bound}
        build_shard(
            path, "warped_flow", first.size, videos, fingerprint, parts_of, first.videos, threads
        )


def warped_rows(undo: WarpedFlow, first: Shard, video: Video, bound: float) -> Iterator[np.ndarray]:
    """Warped flow of a video, some pairs at a time: float32 (pairs, 2, H, W) in px.

    Args:
        undo: takes the camera's motion out.
        first: the shard with the video's flow.
        video: the video.
        bound: bound of the quantised flow in px.

    Raises:
        VideoError: the video is bad.
        UserError: the shard does not hold the video, or not as it is now.
    """
    known = first.videos.get(video.id)
    if known is None:
        raise UserError(f"{first.path}: does not hold {video.id}; remove it and run again")
    changed = UserError(
        f"{video.path}: has changed since {first.path} was made; remove that shard and run again"
    )
    start = 0
    for frames in overlapping_chunks(read_frames(video.path, first.size, "grey"), CHUNK):
        stop = start + len(frames) - 1
        if stop > known.length:
            raise changed
        yield undo(frames, dequantise(first.read(known, range(start, stop)), bound))
        start = stop
    if start != known.length:
        raise changed
