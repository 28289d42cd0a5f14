"""Building warped-flow shards from videos and their flow shards."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tsn.config.frame_folders import FrameFolders
from tsn.config.schema import FlowConfig
from tsn.datasets.records import Video
from tsn.flow.build import CHUNK, estimator_of, fills_gpu, overlapping_chunks, quantised_part
from tsn.flow.overlay import find_overlay
from tsn.flow.quantise import dequantise
from tsn.flow.warped import WarpedFlow
from tsn.runtime.errors import UserError
from tsn.shards.build import Part, build_shard, size_record
from tsn.shards.format import Shard
from tsn.shards.frames import read_frames
from tsn.video.decode import MAX_FRAMES

GPU_CHUNK = 128
"""Pairs at a time on a GPU: half of those of `tsn.flow.build`, for here flow is float32."""


def build_warped_shard(
    path: Path | str,
    flow_shard_path: Path | str,
    videos: list[Video],
    flow: FlowConfig,
    threads: int,
    max_frames: int = MAX_FRAMES,
    folders: FrameFolders | None = None,
) -> None:
    """Compute and quantise the warped flow of one shard from its videos and its flow.

    A video of more than `max_frames` frames is quarantined, as in the flow shard.

    Raises:
        UserError: if the flow shard is damaged or not of these videos.
    """
    warped_flow = WarpedFlow(estimator_of(flow, threads), threads)
    with Shard(flow_shard_path) as flow_shard:
        bound = flow_shard.fingerprint["bound"]

        def parts_of(video: Video) -> Iterator[Part]:
            for fields in warped_flow_fields(
                warped_flow, flow_shard, video, bound, max_frames, folders
            ):
                yield quantised_part(fields, bound)

        size = flow_shard.size
        fingerprint = {**warped_flow.fingerprint, **size_record(size), "bound": bound}
        if folders:
            fingerprint["of"] = flow_shard.fingerprint
        build_shard(
            path, "warped_flow", size, videos, fingerprint, parts_of, flow_shard.videos, threads
        )


def warped_flow_fields(
    warped_flow: WarpedFlow,
    flow_shard: Shard,
    video: Video,
    bound: float,
    max_frames: int = MAX_FRAMES,
    folders: FrameFolders | None = None,
) -> Iterator[np.ndarray]:
    """Warped flow of a video, some pairs at a time: float32 (pairs, 2, H, W) in px.

    Args:
        warped_flow: removes the camera's motion.
        flow_shard: the shard with the video's flow.
        video: the video.
        bound: bound of the quantised flow in px.
        max_frames: a video of more frames is bad.
        folders: see `tsn.shards.frames.read_frames`.

    Raises:
        VideoError: the video is bad.
        UserError: the shard does not hold the video, or not as it is now.
    """
    stored = flow_shard.videos.get(video.id)
    if stored is None:
        raise UserError(f"{flow_shard.path}: does not hold {video.id}; remove it and run again")
    changed = UserError(
        f"{video.path}: has changed since {flow_shard.path} was made; remove that shard and run "
        "again"
    )

    def frames() -> Iterator[np.ndarray]:
        return read_frames(video, flow_shard.size, "grey", max_frames, folders)

    overlay = find_overlay(frames())
    start, estimator = 0, warped_flow.estimator
    chunk = GPU_CHUNK if fills_gpu(estimator) else CHUNK
    for stack in overlapping_chunks(frames(), chunk, estimator.step):
        stop = start + len(stack) - estimator.step_in(len(stack))
        if stop > stored.length:
            raise changed
        flow = dequantise(flow_shard.read(stored, range(start, stop)), bound)
        yield warped_flow(stack, flow, overlay)
        start = stop
    if start != stored.length:
        raise changed
