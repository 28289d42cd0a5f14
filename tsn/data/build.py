"""Making a shard: every video of it, the bad ones with a reason."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tsn.config import FramesConfig
from tsn.data.isolation import read_frames
from tsn.data.shards import ShardWriter, VideoRows, encode_jpeg, write_shard
from tsn.data.video import MAX_FRAMES, decoder_versions
from tsn.data.video_error import VideoError
from tsn.job import code_version
from tsn.progress import track

logger = logging.getLogger("tsn")


class Source(NamedTuple):
    """A video file of a shard; `stamp` is not used, it only makes jobs that differ differ."""

    id: str
    path: str
    class_name: str
    stamp: str = ""


def build_shard(
    path: Path | str,
    stream: str,
    size: tuple[int, int],
    videos: list[Source],
    fingerprint: dict,
    rows_of: Callable[[Source, ShardWriter], Iterable],
    earlier: Mapping[str, VideoRows] | None = None,
) -> None:
    """Write a shard of `videos`; those for which `rows_of` raises `VideoError` are quarantined.

    Args:
        path: the HDF5 file.
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) in pixels.
        videos: in the order of the shard.
        fingerprint: what determines the rows.
        rows_of: gives the rows of one video, as `ShardWriter.add` wants them.
        earlier: the videos as an earlier stage left them; those it quarantined stay so.
    """
    made_with = {**decoder_versions(), "tsn": code_version()}
    with write_shard(path, stream, size, fingerprint, made_with) as writer:
        for video in track(videos, len(videos), "videos", f"{stream} {Path(path).stem}"):
            known = (earlier or {}).get(video.id)
            if known and not known.ok:
                writer.quarantine(video.id, video.class_name, known.status, known.message)
                continue
            try:
                writer.add(video.id, video.class_name, rows_of(video, writer))
            except VideoError as error:
                logger.warning("quarantined %s: %s", video.id, error)
                writer.quarantine(video.id, video.class_name, error.status, str(error))


def build_rgb_shard(
    path: Path | str, videos: list[Source], frames: FramesConfig, max_frames: int = MAX_FRAMES
) -> None:
    """Decode the videos of one shard to JPEG rows; one of more than `max_frames` is quarantined."""

    def rows_of(video: Source, _: ShardWriter) -> Iterator[bytes]:
        for frame in read_frames(video.path, frames.size, "rgb", max_frames=max_frames):
            yield encode_jpeg(frame, frames.jpeg_quality)

    fingerprint = {"size": list(frames.size), "jpeg_quality": frames.jpeg_quality}
    build_shard(path, "rgb", frames.size, videos, fingerprint, rows_of)
