"""One decoder for every stream: a video file in, resized frames out.

RGB frames and flow both come from `read_frames`, so that they always see the same frames.
"""

import errno
import itertools
import operator
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from tsn.video import MAX_SIDE, FrameSize, target_size
from tsn.video.colour import RGBConverter
from tsn.video.containers import find_truncation
from tsn.video.errors import VideoError
from tsn.video.images import resize
from tsn.video.orientation import orientation, upright
from tsn.video.span import Span
from tsn.video.span_filter import SpanFilter

# Formats that hold video and cannot name other files. FFmpeg would also "play" text,
# subtitles, single images, and play lists (HLS, concat), which read whatever file they name.
_CONTAINERS = (
    "apng,asf,avi,dv,flv,gif,ivf,matroska,mov,mpeg,mpegts,mxf,nut,ogg,rm,"
    # without a container
    "h263,h264,hevc,m4v,mjpeg,mpegvideo,obu,vc1,vvc,yuv4mpegpipe"
)

MAX_FRAMES = 100_000
"""Frames of a video unless the caller says otherwise: an hour at 25 a second. UCF101's longest
video has 1,776; hour-long videos want to be cut before they are trained on."""

# Frame rate where a header gives none, or one that no camera has.
_DEFAULT_RATE = Fraction(25)
_MAX_RATE = 240

_CV_NO_MEMORY = -4  # cv::Error::StsNoMem

# What PyAV, OpenCV and the operating system raise over a damaged file, which must not stop the
# other videos. VideoError is none of them.
_DECODING_ERRORS = (av.FFmpegError, cv2.error, OSError, ValueError, RuntimeError, MemoryError)


def read_frames(
    path: str | os.PathLike,
    size: FrameSize | None = (340, 256),
    colour: Literal["rgb", "grey"] = "rgb",
    max_frames: int = MAX_FRAMES,
    span: Span | None = None,
) -> Iterator[np.ndarray]:
    """Decode a video's first video stream, frame by frame.

    Every decoded frame comes once, in display order, whatever its time stamp; the frame count
    and rate in the header are ignored. Frames are turned upright by the display matrix, or the
    `rotate` tag, of the file, converted to 8-bit RGB (alpha is dropped) and resized bilinearly;
    grey is made from the resized RGB frame, the order dense_flow has.

    Args:
        path: the video file; any name, never interpreted as an address or a pattern.
        size: width and height of the frames, in pixels, or their shorter side; None for the video's
            own, upright.
        colour: "rgb", or "grey" for Rec. 601 luma.
        max_frames: a video with more is refused, before it is decoded where its header says so.
        span: only these frames, which are those of a full decode; None for all.

    Yields:
        uint8 arrays of shape (height, width, 3), or (height, width) for grey, 0...255, each one
        the caller's own.

    Raises:
        VideoError: the file is bad; possibly after some frames, so a caller that wants
            all or nothing has to wait for the end.
        ValueError: an argument is out of range (raised at once, not at the first frame).
        TypeError: a size or a number of frames is not an integer.
    """
    check_arguments(size, colour, max_frames)
    return _read(Path(path), size, colour, max_frames, span)


def check_arguments(size: FrameSize | None, colour: str, max_frames: int) -> None:
    """Raise a ValueError or TypeError for a wrong argument of `read_frames`."""
    if colour not in ("rgb", "grey"):
        raise ValueError(f"colour must be 'rgb' or 'grey', not {colour!r}")
    if size is not None:
        width, height = map(operator.index, (size, size) if isinstance(size, int) else size)
        if not 1 <= min(width, height) <= max(width, height) <= MAX_SIDE:
            raise ValueError(f"size must be a width and a height of 1 to {MAX_SIDE}, not {size}")
    if operator.index(max_frames) < 2:
        raise ValueError(f"max_frames must be at least 2, not {max_frames}")


def decoder_versions() -> dict[str, str]:
    """Versions of what turns a file into frames: keys "av", "libavcodec", ..., "opencv"."""
    libraries = ("libavcodec", "libavformat", "libavutil", "libswscale")
    versions = {name: ".".join(map(str, av.library_versions[name])) for name in libraries}
    return {"av": av.__version__, **versions, "opencv": cv2.__version__}


def to_grey(frame: np.ndarray) -> np.ndarray:
    """Rec. 601 luma, uint8 (H, W), of an RGB frame, uint8 (H, W, 3)."""
    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)


def probe(path: str | os.PathLike, count: bool = True) -> tuple[int, Fraction]:
    """Packet count and frame rate, without decoding.

    The count is that of the decoded frames unless the video is damaged: enough for a progress bar
    (counting takes about 2 ms for a clip of 150 frames). The rate is what the header says; without
    `count`, nothing else is read and the count is 0.

    Raises:
        VideoError: the file cannot be read.
    """
    path = Path(path)
    try:
        with _open_file(path) as file, _open_container(path, file) as container:
            stream = _video_stream(path, container)
            packets = sum(1 for _ in _packets(container, stream)) if count else 0
            rate = stream.average_rate or _DEFAULT_RATE
    except _DECODING_ERRORS as error:
        raise _video_error(error, path, "cannot be read") from error
    return packets, rate if 1 <= rate <= _MAX_RATE else _DEFAULT_RATE


def _read(
    path: Path, size: FrameSize | None, colour: str, max_frames: int, span: Span | None
) -> Iterator[np.ndarray]:
    count = 0
    too_long = VideoError("too_long", path, f"has more than {max_frames} frames")
    try:
        with _open_file(path) as file, _open_container(path, file) as container:
            if span is None and _is_longer(path, container, max_frames):
                raise too_long
            for full in _decode(path, container, span):
                if count == max_frames:
                    raise too_long
                # At its own size, this copies the frame.
                frame = resize(full, target_size(full.shape[1::-1], size))
                count += 1
                yield to_grey(frame) if colour == "grey" else frame
    except _DECODING_ERRORS as error:
        raise _video_error(error, path, f"cannot be decoded after {count} frames") from error
    if count < 2:
        where = f" in the clip {span}" if span else ""
        raise VideoError("too_short", path, f"has {count} frame(s){where}, and 2 are the least")


def _is_longer(path: Path, container: InputContainer, limit: int) -> bool:
    """Whether a video whose header claims more than `limit` frames really has them.

    Headers may be wrong, so packets are counted: far cheaper than decoding them.
    """
    stream = _video_stream(path, container)
    seconds = (container.duration or 0) / av.time_base
    if max(stream.frames, seconds * (stream.average_rate or 0)) <= limit:
        return False
    with _open_file(path) as file, _open_container(path, file) as other:
        packets = _packets(other, _video_stream(path, other))
        return next(itertools.islice(packets, limit, None), None) is not None


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet]:
    """Packets of a stream, without the empty ones of skipped frames."""
    return (packet for packet in container.demux(stream) if packet.size)


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
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


def _open_container(path: Path, file: BinaryIO) -> InputContainer:
    try:
        return av.open(
            _Nameless(file),
            "r",
            options={"format_whitelist": _CONTAINERS},
            metadata_errors="replace",
        )
    except _DECODING_ERRORS as error:
        raise _video_error(error, path, "is not a video that FFmpeg knows") from error


def _decode(path: Path, container: InputContainer, span: Span | None) -> Iterator[np.ndarray]:
    """Yield the frames at full size, upright, as uint8 (height, width, 3) RGB."""
    stream = _video_stream(path, container)
    # Jobs run in parallel; and with threads, FFmpeg conceals damage differently from run to run.
    stream.codec_context.thread_count = 1
    to_rgb = RGBConverter()
    first_size = last = None
    count = 0
    within = SpanFilter(container, stream, span) if span else None
    # An empty packet, a frame left out, would be the end for the decoder; None is the end.
    for packet in itertools.chain(_packets(container, stream), [None]):
        for frame in stream.codec_context.decode(packet):
            if within is not None:
                if within.is_over(frame):
                    return
                if not within.takes(frame):
                    continue
            if first_size is None:
                # Once a video: PyAV keeps a frame whose side data was looked at until Python's
                # next garbage collection, which may be hundreds of frames away.
                turn = orientation(frame, stream)
                first_size = frame.width, frame.height
            if (frame.width, frame.height) != first_size:
                old, new = "{}x{}".format(*first_size), f"{frame.width}x{frame.height}"
                problem = f"changes its size from {old} to {new} after {count} frames"
                raise VideoError("size_changed", path, problem)
            count += 1
            yield upright(to_rgb(frame), turn)
        last = packet or last
    if last is not None and last.is_corrupt:
        raise VideoError("truncated", path, "is cut short: its last frame is incomplete")


def _video_stream(path: Path, container: InputContainer) -> VideoStream:
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


def _video_error(error: Exception, path: Path, problem: str) -> VideoError:
    """The VideoError for what a library raised over a file."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, MemoryError) or getattr(error, "code", None) == _CV_NO_MEMORY:
        return VideoError("too_big", path, f"{problem}: it needs too much memory")
    return VideoError("unreadable", path, f"{problem} ({reason})")
