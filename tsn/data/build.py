"""Making a shard: every video of it, the bad ones with a reason."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from tsn.config import FramesConfig
from tsn.data.index import Video, read_index
from tsn.data.shards import ShardWriter, VideoRows, encode_jpeg, write_shard
from tsn.data.video import VideoError, decoder_versions, read_frames
from tsn.job import code_version
from tsn.progress import track

logger = logging.getLogger("tsn")


def videos_of_shard(index: Path | str, shard: int) -> list[Video]:
    """The rows of the index that belong to one shard."""
    return [video for video in read_index(Path(index)) if video.shard == shard]


def build_shard(
    path: Path | str,
    stream: str,
    size: tuple[int, int],
    videos: list[Video],
    fingerprint: dict,
    rows_of: Callable[[Video, ShardWriter], Iterable],
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


def build_rgb_shard(path: Path | str, index: Path | str, shard: int, frames: FramesConfig) -> None:
    """Decode the videos of one shard to JPEG rows."""

    def rows_of(video: Video, _: ShardWriter) -> Iterator[bytes]:
        for frame in read_frames(video.path, frames.size, "rgb"):
            yield encode_jpeg(frame, frames.jpeg_quality)

    fingerprint = {"size": list(frames.size), "jpeg_quality": frames.jpeg_quality}
    build_shard(path, "rgb", frames.size, videos_of_shard(index, shard), fingerprint, rows_of)
