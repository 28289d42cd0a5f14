"""One decoder for every stream: a video file in, resized frames out.

RGB frames and flow both come from `read_frames`, so that they always see the same frames.
"""

import itertools
import operator
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tsn.video import MAX_SIDE, FrameSize, target_size
from tsn.video.colour import RGBConverter
from tsn.video.errors import VideoError
from tsn.video.images import resize
from tsn.video.open_video import (
    DECODING_ERRORS,
    PausedVideos,
    open_container,
    open_file,
    opened,
    packets_of,
    video_error,
    video_stream,
)
from tsn.video.orientation import orientation, upright
from tsn.video.span import Span

MAX_FRAMES = 100_000
"""Frames of a video unless the caller says otherwise: an hour at 25 a second. UCF101's longest
video has 1,776; hour-long videos want to be cut before they are trained on."""

ANY_LENGTH = 2**62
"""The same for videos that are not trained on."""

MIN_RATE, MAX_RATE = Fraction(1, 100), 240
"""Frames a second, from time-lapse to slow motion; a header that says something else is wrong."""

_DEFAULT_RATE = Fraction(25)


def read_frames(
    path: str | os.PathLike,
    size: FrameSize | None = (340, 256),
    colour: Literal["rgb", "grey"] = "rgb",
    max_frames: int = MAX_FRAMES,
    span: Span | None = None,
    paused: PausedVideos | None = None,
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
        paused: where earlier clips of the file ended, to go on from there.

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
    return _read(Path(path), size, colour, max_frames, span, paused)


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
        with open_file(path) as file, open_container(path, file) as container:
            stream = video_stream(path, container)
            packets = sum(1 for _ in packets_of(container, stream)) if count else 0
            rate = stream.average_rate or _DEFAULT_RATE
    except DECODING_ERRORS as error:
        raise video_error(error, path, "cannot be read") from error
    return packets, rate if MIN_RATE <= rate <= MAX_RATE else _DEFAULT_RATE


def _read(
    path: Path,
    size: FrameSize | None,
    colour: str,
    max_frames: int,
    span: Span | None,
    paused: PausedVideos | None,
) -> Iterator[np.ndarray]:
    count = 0
    too_long = VideoError("too_long", path, f"has more than {max_frames} frames")
    try:
        with opened(path, span, paused) as video:
            if span is None and _is_longer(path, video.container, max_frames):
                raise too_long
            frames = video.clips.frames(span) if span else video.decode()
            for full in _upright_rgb(path, frames, video.stream):
                if count == max_frames:
                    raise too_long
                # At its own size, this copies the frame.
                frame = resize(full, target_size(full.shape[1::-1], size))
                count += 1
                yield to_grey(frame) if colour == "grey" else frame
    except DECODING_ERRORS as error:
        raise video_error(error, path, f"cannot be decoded after {count} frames") from error
    if count < 2:
        where = f" in the clip {span}" if span else ""
        raise VideoError("too_short", path, f"has {count} frame(s){where}, and 2 are the least")


def _is_longer(path: Path, container: InputContainer, limit: int) -> bool:
    """Whether a video whose header claims more than `limit` frames really has them.

    Headers may be wrong, so packets are counted: far cheaper than decoding them.
    """
    stream = video_stream(path, container)
    seconds = (container.duration or 0) / av.time_base
    if max(stream.frames, seconds * (stream.average_rate or 0)) <= limit:
        return False
    with open_file(path) as file, open_container(path, file) as other:
        packets = packets_of(other, video_stream(path, other))
        return next(itertools.islice(packets, limit, None), None) is not None


def _upright_rgb(
    path: Path, frames: Iterator[VideoFrame], stream: VideoStream
) -> Iterator[np.ndarray]:
    """Yield the frames at full size, upright, as uint8 (height, width, 3) RGB."""
    to_rgb = RGBConverter()
    first_size = None
    for count, frame in enumerate(frames):
        if first_size is None:
            # Once a video: PyAV keeps a frame whose side data was looked at until Python's
            # next garbage collection, which may be hundreds of frames away.
            turn = orientation(frame, stream)
            first_size = frame.width, frame.height
        if (frame.width, frame.height) != first_size:
            old, new = "{}x{}".format(*first_size), f"{frame.width}x{frame.height}"
            problem = f"changes its size from {old} to {new} after {count} frames"
            raise VideoError("size_changed", path, problem)
        yield upright(to_rgb(frame), turn)
