"""Opening videos, and going on in them from clip to clip."""

import errno
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

import av
import cv2
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tsn.video import MAX_SIDE
from tsn.video.containers import find_truncation
from tsn.video.errors import VideoError
from tsn.video.span import Span
from tsn.video.span_filter import SpanFilter

# Formats that hold video and cannot name other files. FFmpeg would also "play" text,
# subtitles, single images, and play lists (HLS, concat), which read whatever file they name.
_CONTAINERS = (
    "apng,asf,avi,dv,flv,gif,ivf,matroska,mov,mpeg,mpegts,mxf,nut,ogg,rm,"
    # without a container
    "h263,h264,hevc,m4v,mjpeg,mpegvideo,obu,vc1,vvc,yuv4mpegpipe"
)

MAX_PAUSED = 4
"""Decoders that are kept at the ends of clips of one file: as many clips may overlap without
decoding from the start again."""

_CV_NO_MEMORY = -4  # cv::Error::StsNoMem

# What PyAV, OpenCV and the operating system raise over a damaged file, which must not stop the
# other videos. VideoError is none of them.
DECODING_ERRORS = (av.FFmpegError, cv2.error, OSError, ValueError, RuntimeError, MemoryError)


class OpenVideo:
    """A video file that is being decoded.

    Attributes:
        container, stream: of the file.
        decode: yields the frames from where the container is when the first one is asked for.
        clips: picks the frames of clips.
    """

    def __init__(self, path: Path):
        self._path, self._stamp = path, _stamp_of(path)
        with ExitStack() as stack:
            file = stack.enter_context(open_file(path))
            self.container = stack.enter_context(open_container(path, file))
            self.stream = video_stream(path, self.container)
            self.close = stack.pop_all().close
        # Jobs run in parallel; and with threads, FFmpeg conceals damage differently each time.
        self.stream.codec_context.thread_count = 1
        self.decode = partial(_decoded, path, self.container, self.stream)
        self.clips = SpanFilter(self.container, self.stream, self.decode)

    def is_of(self, path: Path) -> bool:
        """Whether this is the video that the path leads to now."""
        return (path, _stamp_of(path)) == (self._path, self._stamp)


class PausedVideos:
    """Decoders of one file that stopped at the end of a clip each, to go on from there.

    So clips that are read in their order take one pass, and those that overlap some more.
    """

    def __init__(self) -> None:
        self._videos: list[OpenVideo] = []

    def take(self, path: Path, span: Span | None) -> OpenVideo | None:
        """The one that is closest before a clip, if any; those of other files are closed."""
        for video in [video for video in self._videos if not video.is_of(path)]:
            self._videos.remove(video)
            video.close()
        distances = {v: v.clips.distance(span) for v in self._videos} if span else {}
        before = {v: distance for v, distance in distances.items() if distance is not None}
        if not before:
            return None
        nearest = min(before, key=before.__getitem__)
        self._videos.remove(nearest)
        return nearest

    def put(self, video: OpenVideo) -> None:
        """Keep a decoder for later clips; close the oldest of too many."""
        self._videos.append(video)
        if len(self._videos) > MAX_PAUSED:
            self._videos.pop(0).close()


@contextmanager
def opened(path: Path, span: Span | None, paused: PausedVideos | None) -> Iterator[OpenVideo]:
    """Open a video to read all of it or a clip, or go on in one of `paused`."""
    video = (paused.take(path, span) if paused else None) or OpenVideo(path)
    try:
        yield video
    except BaseException:
        video.close()
        raise
    if paused and video.clips.is_paused:
        paused.put(video)
    else:
        video.close()


def _stamp_of(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except (OSError, ValueError):  # told when it is opened
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _decoded(path: Path, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """The frames from where the container is when the first one is asked for."""
    last = None
    # An empty packet, a frame left out, would be the end for the decoder; None is the end.
    for packet in itertools.chain(packets_of(container, stream), [None]):
        yield from stream.codec_context.decode(packet)
        last = packet or last
    if last is not None and last.is_corrupt:
        raise VideoError("truncated", path, "is cut short: its last frame is incomplete")


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Packets of a stream, without the empty ones of skipped frames."""
    try:
        yield from (packet for packet in container.demux(stream) if packet.size)
    except IndexError:
        # PyAV (18.1) fails behind the last packet if more streams have begun in the midst.
        return


@contextmanager
def open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that is neither empty nor cut short."""
    with _open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise VideoError("empty", path, "has no bytes in it")
        if truncation := find_truncation(file, size):
            raise VideoError("truncated", path, f"is cut short: {truncation}")
        file.seek(0)
        yield file


def _open_regular(path: Path) -> BinaryIO:
    try:
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):  # opening a named pipe would wait for ever
            return path.open("rb")
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in the name
        raise VideoError("missing", path, "does not exist") from None
    except OSError as error:
        problem = f"cannot be opened: {error.strerror}"
        raise VideoError("inaccessible", path, problem) from None
    if stat.S_ISDIR(mode):
        raise VideoError("missing", path, "is a folder, not a file")
    raise VideoError("unreadable", path, "is not a regular file")


class _Nameless:
    """A file as FFmpeg gets to see it: bytes without a name that it could interpret."""

    name = "video"

    def __init__(self, file: BinaryIO):
        self.read, self.tell = file.read, file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek as C does: an impossible offset in a damaged file returns an error code."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


def open_container(path: Path, file: BinaryIO) -> InputContainer:
    """Open a file of one of the formats that hold video."""
    try:
        return av.open(
            _Nameless(file),
            "r",
            options={"format_whitelist": _CONTAINERS},
            metadata_errors="replace",
        )
    except DECODING_ERRORS as error:
        raise video_error(error, path, "is not a video that FFmpeg knows") from error


def video_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video stream; a cover image only where there is nothing else."""
    streams = sorted(
        container.streams.video,
        key=lambda stream: bool(stream.disposition & Disposition.attached_pic),
    )
    if not streams:
        raise VideoError("unreadable", path, "has no video stream")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError("unreadable", path, "is coded in a way that FFmpeg does not know")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > MAX_SIDE:
        problem = f"claims {width}x{height} pixels, above the limit of {MAX_SIDE} a side"
        raise VideoError("unreadable", path, problem)
    return stream


def video_error(error: Exception, path: Path, problem: str) -> VideoError:
    """The VideoError for what a library raised over a file."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, MemoryError) or getattr(error, "code", None) == _CV_NO_MEMORY:
        return VideoError("too_big", path, f"{problem}: it needs too much memory")
    return VideoError("unreadable", path, f"{problem} ({reason})")
