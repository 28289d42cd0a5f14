"""Making flow shards: videos to TV-L1 flow, flow shards to warped-flow shards."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tsn.config import FlowConfig
from tsn.data.build import build_shard, videos_of_shard
from tsn.data.index import Video
from tsn.data.shards import Shard, ShardWriter
from tsn.data.video import read_frames
from tsn.errors import UserError
from tsn.flow.quantise import clipped_share, dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow

CHUNK = 32
"""Pairs computed at a time: bounds memory for videos of any length."""

logger = logging.getLogger("tsn")


def build_flow_shard(
    path: Path | str,
    index: Path | str,
    shard: int,
    size: tuple[int, int],
    flow: FlowConfig,
    threads: int,
) -> None:
    """Compute and quantise the TV-L1 flow of the videos of one shard."""
    tvl1 = TVL1(flow.params, flow.backend, threads)
    logger.info("TV-L1 by %s", tvl1.fingerprint["backend"])

    def rows_of(video: Video, writer: ShardWriter) -> Iterator[np.ndarray]:
        for frames in overlapping_chunks(read_frames(video.path, size, "grey"), CHUNK):
            yield _quantised(tvl1(frames), flow.bound, writer)

    fingerprint = {**tvl1.fingerprint, "size": list(size), "bound": flow.bound}
    build_shard(path, "flow", size, videos_of_shard(index, shard), fingerprint, rows_of)


def build_warped_shard(
    path: Path | str,
    flow_shard: Path | str,
    index: Path | str,
    shard: int,
    flow: FlowConfig,
    threads: int,
) -> None:
    """Compute and quantise the warped flow of one shard from its videos and its flow.

    Raises:
        UserError: if the flow shard is damaged or not of these videos.
    """
    warped_flow = WarpedFlow(TVL1(flow.params, flow.backend, threads))
    with Shard(flow_shard) as first:

        def rows_of(video: Video, writer: ShardWriter) -> Iterator[np.ndarray]:
            known = first.videos.get(video.id)
            if known is None:
                raise UserError(f"{flow_shard}: does not hold {video.id}; remove it and run again")
            start = 0
            for frames in overlapping_chunks(read_frames(video.path, first.size, "grey"), CHUNK):
                stop = start + len(frames) - 1
                if stop > known.rows:
                    break
                plain = dequantise(first.read(known, range(start, stop)), flow.bound)
                yield _quantised(warped_flow(frames, plain), flow.bound, writer)
                start = stop
            if start != known.rows:
                raise UserError(
                    f"{video.path}: has changed since {flow_shard} was made; remove that shard and run again"
                )

        fingerprint = {**warped_flow.fingerprint, "size": list(first.size), "bound": flow.bound}
        videos = videos_of_shard(index, shard)
        build_shard(path, "warped_flow", first.size, videos, fingerprint, rows_of, first.videos)


def overlapping_chunks(frames: Iterable[np.ndarray], pairs: int) -> Iterator[np.ndarray]:
    """Stacks of up to `pairs` + 1 frames; the last frame of one is the first of the next.

    >>> [chunk.tolist() for chunk in overlapping_chunks(map(np.array, range(5)), 2)]
    [[0, 1, 2], [2, 3, 4]]
    """
    frames = iter(frames)
    last = list(islice(frames, 1))
    while more := list(islice(frames, pairs)):
        yield np.stack(last + more)
        last = more[-1:]


def _quantised(values: np.ndarray, bound: float, writer: ShardWriter) -> np.ndarray:
    writer.count_clipped(clipped_share(values, bound), len(values))
    return quantise(values, bound)
