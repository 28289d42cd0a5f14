"""One decoder for every stream: a video file in, resized frames out.

RGB rows and flow both come from `read_frames`, so that they always have the same frames.
"""

import errno
import itertools
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream

from tsn.data.containers import find_truncation
from tsn.errors import UserError

Status = Literal["missing", "empty", "unreadable", "truncated", "too_short", "size_changed"]

_ADVICE = {
    "missing": "check the name and the data set's folder",
    "empty": "fetch the file again",
    "unreadable": "fetch the file again, or convert it to AVI, MP4 or MKV",
    "truncated": "fetch the file again",
    "too_short": "remove the video from the lists",
    "size_changed": "convert the video to one size",
}

# Containers that hold moving pictures and cannot name other files. FFmpeg would also "play" text,
# subtitles, single images, and play lists (HLS, concat), which read whatever file they name.
_CONTAINERS = "apng,asf,avi,dv,flv,gif,ivf,matroska,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm"

# A larger picture is a damaged header, and would take gigabytes per frame.
_MAX_SIDE = 16384

# Pictures a second where a header gives none, or one that no camera has.
_USUAL_RATE = Fraction(25)
_FASTEST = 240

# FFmpeg's own tests use accurate_rnd and bitexact to get the same pixels on every processor;
# chroma is interpolated (the default repeats it): 0.2 ms more for a frame of 320x240.
_TO_RGB = int(
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)

# Degrees clockwise -> see `_orientation`. Players before display matrices went by this tag.
_ROTATE_TAG = {
    "90": (True, 1, -1),
    "180": (False, -1, -1),
    "270": (True, -1, 1),
    "-90": (True, -1, 1),
    "-180": (False, -1, -1),
    "-270": (True, 1, -1),
}

# What PyAV, OpenCV and the operating system raise over a damaged file; a video is data, and must
# not be able to stop the others. No error of our own making is a subclass of these.
_DECODING_ERRORS = (av.FFmpegError, cv2.error, OSError, ValueError, RuntimeError, MemoryError)


class VideoError(UserError):
    """A video that cannot be used, told in one sentence that names the file.

    Attributes:
        status: what is wrong with it, one of `Status`.
    """

    def __init__(self, status: Status, path: Path, problem: str):
        # The repr keeps a name with line breaks or undecodable bytes printable, on one line.
        super().__init__(status, path, problem)
        self.status = status

    def __str__(self) -> str:
        status, path, problem = self.args
        return f"Video {str(path)!r} {problem}; {_ADVICE[status]}"


def read_frames(
    path: str | os.PathLike,
    size: tuple[int, int] | None = (340, 256),
    colour: Literal["rgb", "grey"] = "rgb",
    threads: int = 1,
) -> Iterator[np.ndarray]:
    """Decode a video's first picture stream, frame by frame.

    Every decoded frame comes once, in display order, whatever its time stamp; the frame count
    and rate in the header are ignored. Frames are turned upright by the display matrix, or the
    `rotate` tag, of the file, converted to 8-bit RGB (alpha is dropped) and resized bilinearly;
    grey is made from the resized RGB frame, the order dense_flow has.

    Args:
        path: the video file; any name, never interpreted as an address or a pattern.
        size: width and height of the frames, in pixels; None for the video's own, upright.
        colour: "rgb", or "grey" for Rec. 601 luma.
        threads: decoding threads, at least 1; they change the speed, never the frames of an
            intact video (FFmpeg conceals damage inside one differently from run to run).

    Yields:
        uint8 arrays of shape (height, width, 3), or (height, width) for grey, 0...255, each one
        the caller's own.

    Raises:
        VideoError: the file is bad; possibly after some frames, so a caller that wants
            all or nothing has to wait for the end.
        ValueError: an argument is out of range (raised at once, not at the first frame).
    """
    if colour not in ("rgb", "grey"):
        raise ValueError(f"colour must be 'rgb' or 'grey', not {colour!r}")
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    if size is not None and min(size) < 1:
        raise ValueError(f"size must be a width and a height of at least 1, not {size}")
    return _read(Path(path), size, colour, threads)


def decoder_versions() -> dict[str, str]:
    """Versions of what turns a file into frames: keys "av", "libavcodec", ..., "opencv"."""
    libraries = ("libavcodec", "libavformat", "libavutil", "libswscale")
    versions = {name: ".".join(map(str, av.library_versions[name])) for name in libraries}
    return {"av": av.__version__, **versions, "opencv": cv2.__version__}


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Rec. 601 luma, uint8 (H, W), of an RGB picture, uint8 (H, W, 3)."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def outline(path: str | os.PathLike) -> tuple[int, Fraction]:
    """How many coded pictures a video holds and how many it shows a second, without decoding.

    The count is that of the decoded frames unless the video is damaged: enough for a progress bar
    (counting takes about 2 ms for a clip of 150 frames). The rate is what the header says.

    Raises:
        VideoError: the file cannot be read.
    """
    path = Path(path)
    try:
        with _open_file(path) as file, _open_container(path, file) as container:
            stream = _picture_stream(path, container)
            count = sum(1 for packet in container.demux(stream) if packet.size)
            rate = stream.average_rate or _USUAL_RATE
    except _DECODING_ERRORS as error:
        raise VideoError("unreadable", path, f"cannot be read ({_reason(error)})") from error
    return count, rate if 1 <= rate <= _FASTEST else _USUAL_RATE


def _read(
    path: Path, size: tuple[int, int] | None, colour: str, threads: int
) -> Iterator[np.ndarray]:
    count = 0
    try:
        with _open_file(path) as file, _open_container(path, file) as container:
            for picture in _decode(path, container, threads):
                # At its own size, this copies the picture.
                target = size or picture.shape[1::-1]
                frame = cv2.resize(picture, target, interpolation=cv2.INTER_LINEAR)
                count += 1
                yield to_grey(frame) if colour == "grey" else frame
    except _DECODING_ERRORS as error:
        problem = f"cannot be decoded after {count} frames ({_reason(error)})"
        raise VideoError("unreadable", path, problem) from error
    if count < 2:
        raise VideoError("too_short", path, f"has {count} frame(s), and 2 are the least")


@contextmanager
def _open_file(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file that is neither empty nor cut short."""
    try:
        status = path.stat()
    except PermissionError:
        raise VideoError("unreadable", path, "may not be read: permission denied") from None
    except (OSError, ValueError):  # ValueError: a NUL character in the name
        raise VideoError("missing", path, "does not exist") from None
    if stat.S_ISDIR(status.st_mode):
        raise VideoError("missing", path, "is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
        raise VideoError("unreadable", path, "is not a regular file")
    if status.st_size == 0:
        raise VideoError("empty", path, "has no bytes in it")
    with path.open("rb") as file:
        if truncation := find_truncation(file, status.st_size):
            raise VideoError("truncated", path, f"is cut short: {truncation}")
        file.seek(0)
        yield file


class _Nameless:
    """A file as FFmpeg gets to see it: bytes without a name that it could interpret."""

    name = "video"

    def __init__(self, file: BinaryIO):
        self.read, self.tell = file.read, file.tell
        self._file = file

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Seek as C does: a damaged file's impossible offset is an answer, not an exception."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return -errno.EINVAL


def _open_container(path: Path, file: BinaryIO) -> InputContainer:
    try:
        return av.open(
            _Nameless(file),
            options={"format_whitelist": _CONTAINERS},
            metadata_errors="replace",
        )
    except _DECODING_ERRORS as error:
        problem = f"is not a video that FFmpeg knows ({_reason(error)})"
        raise VideoError("unreadable", path, problem) from error


def _decode(path: Path, container: InputContainer, threads: int) -> Iterator[np.ndarray]:
    """Yield the pictures at full size, upright, as uint8 (height, width, 3) RGB."""
    stream = _picture_stream(path, container)
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO"
    to_rgb = VideoReformatter()
    first_size = orientation = last = None
    count = 0
    for packet in itertools.chain(container.demux(stream), [None]):
        if packet is not None and not packet.size:
            continue  # a frame left out, which a decoder would take for the end
        for frame in stream.codec_context.decode(packet):
            if first_size is None:
                # Once a video: PyAV keeps a frame whose side data was looked at until Python's
                # next garbage collection, which may be hundreds of frames away.
                orientation = _orientation(frame, stream)
                first_size = frame.width, frame.height
            if (frame.width, frame.height) != first_size:
                old, new = "{}x{}".format(*first_size), f"{frame.width}x{frame.height}"
                problem = f"changes its size from {old} to {new} after {count} frames"
                raise VideoError("size_changed", path, problem)
            rgb = to_rgb.reformat(frame, format="rgb24", interpolation=_TO_RGB, threads=1)
            count += 1
            yield _upright(rgb.to_ndarray(), *orientation)
        last = packet or last
    if last is not None and last.is_corrupt:
        raise VideoError("truncated", path, "is cut short: its last picture is incomplete")


def _picture_stream(path: Path, container: InputContainer) -> VideoStream:
    """The first video stream; a cover picture only where there is nothing else."""
    streams = sorted(
        container.streams.video,
        key=lambda stream: bool(stream.disposition & Disposition.attached_pic),
    )
    if not streams:
        raise VideoError("unreadable", path, "has no pictures in it")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError("unreadable", path, "is coded in a way that FFmpeg does not know")
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > _MAX_SIDE:
        problem = f"claims {width}x{height} pixels, above the limit of {_MAX_SIDE} a side"
        raise VideoError("unreadable", path, problem)
    return stream


def _orientation(frame: VideoFrame, stream: VideoStream) -> tuple[bool, int, int]:
    """How to turn pictures upright: (swap the axes, then the steps through rows and columns)."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        tags = {key.lower(): value.strip() for key, value in stream.metadata.items()}
        return _ROTATE_TAG.get(tags.get("rotate"), (False, 1, 1))
    # ISO/IEC 14496-12, section 6.2.2: x' = a x + c y, y' = b x + d y, in 16.16 fixed point.
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if swap else (a, d)
    return swap, -1 if down < 0 else 1, -1 if across < 0 else 1


def _upright(picture: np.ndarray, swap: bool, down: int, across: int) -> np.ndarray:
    turned = picture.swapaxes(0, 1) if swap else picture
    return turned[::down, ::across]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
