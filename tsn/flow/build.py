"""Building flow shards: videos to quantised flow."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tsn.config.schema import FlowConfig
from tsn.datasets.records import Video
from tsn.flow.algorithms import create_estimator
from tsn.flow.estimator import FlowEstimator
from tsn.flow.quantise import clipped_fraction, quantise
from tsn.flow.tvl1 import GPU_BACKENDS
from tsn.shards.build import Part, build_shard, flow_part
from tsn.video.decode import MAX_FRAMES
from tsn.video.isolation import read_frames

CHUNK = 32
"""Pairs computed at a time: bounds memory for videos of any length."""

GPU_CHUNK = 256
"""The same on a GPU, which larger batches keep busy: most clips are one chunk."""

logger = logging.getLogger("tsn")


def build_flow_shard(
    path: Path | str,
    videos: list[Video],
    size: tuple[int, int],
    flow: FlowConfig,
    threads: int,
    max_frames: int = MAX_FRAMES,
) -> None:
    """Compute and quantise the flow of the videos of one shard.

    A video of more than `max_frames` frames is quarantined. With more than one thread, as many
    videos are decoded, their flow computed and compressed at a time.
    """
    estimator = estimator_of(flow, threads)
    backend = getattr(estimator, "backend", estimator.fingerprint["backend"])
    logger.info("%s by %s", flow.algorithm, backend)
    chunk = GPU_CHUNK if backend in GPU_BACKENDS else CHUNK

    def parts_of(video: Video) -> Iterator[Part]:
        frames = read_frames(video.path, size, "grey", max_frames=max_frames, span=video.span)
        for stack in overlapping_chunks(frames, chunk):
            yield flow_part(*estimator.quantised(stack, flow.bound))

    fingerprint = {**estimator.fingerprint, "size": list(size), "bound": flow.bound}
    build_shard(path, "flow", size, videos, fingerprint, parts_of, at_once=threads)


def estimator_of(flow: FlowConfig, threads: int) -> FlowEstimator:
    """What computes the flow that a configuration asks for."""
    return create_estimator(
        flow.algorithm, flow.params, flow.backend, threads, flow.weights, flow.sha256
    )


def overlapping_chunks(frames: Iterable[np.ndarray], pairs: int) -> Iterator[np.ndarray]:
    """Stacks of up to `pairs` + 1 frames; the last frame of one is the first of the next.

    Examples:
        >>> [chunk.tolist() for chunk in overlapping_chunks(map(np.array, range(5)), 2)]
        [[0, 1, 2], [2, 3, 4]]
    """
    frames = iter(frames)
    last = list(islice(frames, 1))
    while more := list(islice(frames, pairs)):
        yield np.stack(last + more)
        last = more[-1:]


def quantised_part(flow: np.ndarray, bound: float) -> Part:
    """Flow (n, 2, H, W) in px as bytes, with the fraction of its values that is clipped."""
    return flow_part(quantise(flow, bound), clipped_fraction(flow, bound))
