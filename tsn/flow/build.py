"""Building flow shards: videos to quantised flow."""

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from tsn.config.frame_folders import FrameFolders
from tsn.config.schema import FlowConfig
from tsn.datasets.records import Video
from tsn.flow.algorithms import create_estimator
from tsn.flow.estimator import FlowEstimator
from tsn.flow.quantise import clipped_fraction, dequantise, quantise
from tsn.flow.tvl1 import GPU_BACKENDS
from tsn.shards.build import Part, build_shard, flow_part, size_record
from tsn.shards.frames import folder_of, read_frames
from tsn.video import FrameSize, target_size
from tsn.video.decode import MAX_FRAMES
from tsn.video.images import resize

CHUNK = 32
"""Pairs computed at a time: bounds memory for videos of any length."""

GPU_CHUNK = 256
"""The same on a GPU, which larger batches keep busy: most clips are one chunk."""

logger = logging.getLogger("tsn")


def build_flow_shard(
    path: Path | str,
    videos: list[Video],
    size: FrameSize,
    flow: FlowConfig,
    threads: int,
    max_frames: int = MAX_FRAMES,
    folders: FrameFolders | None = None,
) -> None:
    """Compute and quantise the flow of the videos of one shard, or import that of their folders.

    A video of more than `max_frames` frames is quarantined. With more than one thread, as many
    videos are decoded, their flow computed and compressed at a time.
    """
    if folders and folders.names.flow:
        import_flow_shard(path, videos, size, folders, threads)
        return
    estimator = estimator_of(flow, threads)
    logger.info("%s by %s", flow.algorithm, _backend(estimator))
    chunk = GPU_CHUNK if fills_gpu(estimator) else CHUNK

    def parts_of(video: Video) -> Iterator[Part]:
        frames = read_frames(video, size, "grey", max_frames, folders)
        for stack in overlapping_chunks(frames, chunk, flow.step):
            yield flow_part(*estimator.quantised(stack, flow.bound))

    fingerprint = {**estimator.fingerprint, **size_record(size), "bound": flow.bound}
    build_shard(path, "flow", size, videos, fingerprint, parts_of, at_once=threads)


def import_flow_shard(
    path: Path | str,
    videos: list[Video],
    size: FrameSize,
    folders: FrameFolders,
    threads: int,
) -> None:
    """Store the flow that lies in folders of images, as it was quantised there.

    Flow of another size is resized, and its vectors with it.
    """
    naming = folders.names

    def parts_of(video: Video) -> Iterator[Part]:
        for field in folder_of(video, folders).flow():
            yield flow_part(_resized(field, size, folders.bound)[None], 0.0)

    fingerprint = {
        "algorithm": "imported",
        "backend": "imported",
        "naming": folders.naming,
        "templates": naming.flow,
        "stride": naming.flow_stride,
        "quantisation": "round(255 (v + bound) / (2 bound))",
        "bound": folders.bound,
        **size_record(size),
    }
    build_shard(path, "flow", size, videos, fingerprint, parts_of, at_once=threads)


def _resized(field: np.ndarray, wanted: FrameSize, bound: float) -> np.ndarray:
    """Quantised flow (2, H, W) at another size, with vectors that are longer by as much."""
    height, width = field.shape[1:]
    size = target_size((width, height), wanted)
    if size == (width, height):
        return field
    scales = np.array([size[0] / width, size[1] / height], np.float32)[:, None, None]
    planes = [resize(plane, size) for plane in dequantise(field, bound)]
    return quantise(np.stack(planes) * scales, bound)


def estimator_of(flow: FlowConfig, threads: int) -> FlowEstimator:
    """What computes the flow that a configuration asks for."""
    return create_estimator(
        flow.algorithm, flow.params, flow.backend, threads, flow.weights, flow.sha256, flow.step
    )


def _backend(estimator: FlowEstimator) -> str:
    return getattr(estimator, "backend", estimator.fingerprint["backend"])


def fills_gpu(estimator: FlowEstimator) -> bool:
    """Whether an estimator runs on a GPU that large batches of pairs keep busy."""
    return _backend(estimator) in GPU_BACKENDS


def overlapping_chunks(
    frames: Iterable[np.ndarray], pairs: int, step: int = 1
) -> Iterator[np.ndarray]:
    """Stacks of up to `pairs` + `step` frames; the last `step` of one are the first of the next.

    Examples:
        >>> [chunk.tolist() for chunk in overlapping_chunks(map(np.array, range(5)), 2)]
        [[0, 1, 2], [2, 3, 4]]
        >>> [chunk.tolist() for chunk in overlapping_chunks(map(np.array, range(6)), 2, 3)]
        [[0, 1, 2, 3, 4], [2, 3, 4, 5]]
    """
    frames = iter(frames)
    stack = more = list(islice(frames, pairs + step))
    while more:
        yield np.stack(stack)
        more = list(islice(frames, pairs))
        stack = stack[-step:] + more


def quantised_part(flow: np.ndarray, bound: float) -> Part:
    """Flow (n, 2, H, W) in px as bytes, with the fraction of its values that is clipped."""
    return flow_part(quantise(flow, bound), clipped_fraction(flow, bound))
