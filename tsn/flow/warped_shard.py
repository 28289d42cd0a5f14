"""Making warped-flow shards: videos and their flow shards to flow without the camera's motion."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsn.config import FlowConfig
from tsn.data.build import Source, build_shard
from tsn.data.shards import Shard, ShardWriter
from tsn.data.video import read_frames
from tsn.errors import UserError
from tsn.flow.quantise import dequantise
from tsn.flow.shard import CHUNK, overlapping_chunks, quantised
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow


def build_warped_shard(
    path: Path | str,
    flow_shard: Path | str,
    videos: list[Source],
    flow: FlowConfig,
    threads: int,
) -> None:
    """Compute and quantise the warped flow of one shard from its videos and its flow.

    Raises:
        UserError: if the flow shard is damaged or not of these videos.
    """
    warped_flow = WarpedFlow(TVL1(flow.params, flow.backend, threads))
    with Shard(flow_shard) as first:

        def rows_of(video: Source, writer: ShardWriter) -> Iterator[np.ndarray]:
            known = first.videos.get(video.id)
            if known is None:
                raise UserError(f"{flow_shard}: does not hold {video.id}; remove it and run again")
            start = 0
            for frames in overlapping_chunks(read_frames(video.path, first.size, "grey"), CHUNK):
                stop = start + len(frames) - 1
                if stop > known.rows:
                    break
                plain = dequantise(first.read(known, range(start, stop)), flow.bound)
                yield quantised(warped_flow(frames, plain), flow.bound, writer)
                start = stop
            if start != known.rows:
                raise UserError(
                    f"{video.path}: has changed since {flow_shard} was made; "
                    "remove that shard and run again"
                )

        fingerprint = {**warped_flow.fingerprint, "size": list(first.size), "bound": flow.bound}
        build_shard(path, "warped_flow", first.size, videos, fingerprint, rows_of, first.videos)
