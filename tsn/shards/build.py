"""Build a shard: all its videos, the bad ones with a reason."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tsn.config.frame_folders import FrameFolders
from tsn.config.schema import FramesConfig
from tsn.datasets.records import Video
from tsn.runtime.job import code_version
from tsn.runtime.progress import track
from tsn.shards.chunks import compress_fields
from tsn.shards.format import Data, ShardWriter, StoredVideo, write_shard
from tsn.shards.frames import folder_of, read_frames
from tsn.shards.jpeg import encode_jpeg
from tsn.video import FrameSize, target_size
from tsn.video.decode import MAX_FRAMES, decoder_versions
from tsn.video.errors import VideoError
from tsn.video.images import is_jpeg, resize
from tsn.video.prefetch import prefetch

logger = logging.getLogger("tsn")


class Part(NamedTuple):
    """A frame as JPEG or some flow fields, as `ShardWriter.add` takes them.

    `clipped` is the fraction of flow values beyond the bound.
    """

    data: Data
    clipped: float = 0.0


def size_record(size: FrameSize) -> dict[str, list[int] | int]:
    """The size of frames and flow as a fingerprint holds it."""
    return {"short_side": size} if isinstance(size, int) else {"size": list(size)}


def flow_part(fields: np.ndarray, clipped: float) -> Part:
    """Quantised flow fields (n, 2, H, W), compressed in the thread that made them."""
    return Part(compress_fields(fields), clipped)


def build_shard(
    path: Path | str,
    stream: str,
    size: FrameSize,
    videos: list[Video],
    fingerprint: dict,
    parts_of: Callable[[Video], Iterator[Part]],
    earlier: Mapping[str, StoredVideo] | None = None,
    at_once: int = 1,
) -> None:
    """Write a shard of `videos`; those for which `parts_of` raises `VideoError` are quarantined.

    Args:
        path: the HDF5 file.
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) in pixels, or the shorter side.
        videos: in the order of the shard.
        fingerprint: what determines the frames or flow fields.
        parts_of: yields a video, part by part; called in threads if `at_once` is above 1.
        earlier: the videos as an earlier stage left them; those it quarantined stay so.
        at_once: videos worked on at the same time. The shard is the same whatever it is.
    """
    made_with = {**decoder_versions(), "tsn": code_version()}
    bad = {name: known for name, known in (earlier or {}).items() if not known.ok}
    good = (video for video in videos if video.id not in bad)
    with (
        write_shard(path, stream, size, fingerprint, made_with) as writer,
        closing(prefetch(good, parts_of, at_once)) as made,
    ):
        for video in track(videos, len(videos), "videos", f"{stream} {Path(path).stem}"):
            if known := bad.get(video.id):
                writer.quarantine(video.id, video.class_name, known.status, known.message)
                continue
            try:
                add_parts(writer, video, next(made))
            except VideoError as error:
                logger.warning("quarantined %s: %s", video.id, error)
                writer.quarantine(video.id, video.class_name, error.status, str(error))


def add_parts(writer: ShardWriter, video: Video, parts: Iterable[Part]) -> None:
    """Append a video to a shard.

    Raises:
        VideoError: the video is bad; nothing of it stays in the shard.
    """

    def data() -> Iterator[Data]:
        for part in parts:
            writer.count_clipped(part.clipped, len(part.data))
            yield part.data

    writer.add(video.id, video.class_name, data())


def build_rgb_shard(
    path: Path | str,
    videos: list[Video],
    frames: FramesConfig,
    max_frames: int = MAX_FRAMES,
    folders: FrameFolders | None = None,
) -> None:
    """Decode the videos of one shard to JPEGs; one of more than `max_frames` is quarantined.

    Of folders of images, JPEGs that have the right size are stored as they are.
    """

    def parts_of(video: Video) -> Iterator[Part]:
        if folders is None:
            for frame in read_frames(video, frames.target, max_frames=max_frames):
                yield Part(encode_jpeg(frame, frames.jpeg_quality))
            return
        for data, image in folder_of(video, folders).frames(max_frames):
            own = image.shape[1::-1]
            size = target_size(own, frames.target)
            if not is_jpeg(data) or size != own:
                data = encode_jpeg(resize(image, size), frames.jpeg_quality)
            yield Part(data)

    fingerprint: dict = {**size_record(frames.target), "jpeg_quality": frames.jpeg_quality}
    if folders:
        fingerprint["imported"] = {"naming": folders.naming, "rgb": folders.names.rgb}
    build_shard(path, "rgb", frames.target, videos, fingerprint, parts_of)
