"""Decode what has no end yet: a camera, the address of a stream, a pipe."""

import sys
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import chain
from typing import Any

import av
import cv2
import numpy as np

from tsn.video import FrameSize, target_size
from tsn.video.colour import RGBConverter
from tsn.video.errors import VideoError
from tsn.video.images import resize
from tsn.video.open_video import packets_of

STDIN = "-"
"""Names standard input."""

_OPTIONS = {
    "rtsp_transport": "tcp",
    "protocol_whitelist": "file,pipe,fd,http,https,tls,tcp,udp,rtp,rtsp,crypto",
}
_TIMEOUT = (10.0, 10.0)
"""Seconds to open a stream, and to wait for its next packet."""


def read_live(source: str, size: FrameSize) -> Iterator[np.ndarray]:
    """Yield the frames of a camera (its number), stream (its address), named pipe or `STDIN`.

    Yields:
        uint8 (height, width, 3) RGB of the given (width, height) or shorter side, as they come.

    Raises:
        VideoError: there is no such source, or it breaks off.
    """
    frames = _from_camera(int(source)) if source.isdecimal() else _from_stream(source)
    with closing(frames):
        for frame in frames:
            # That of the first frame, should the source change its own.
            size = target_size(frame.shape[1::-1], size)
            yield resize(frame, size)


def _from_camera(number: int) -> Generator[np.ndarray, None, None]:
    # FFmpeg as PyAV brings it knows no cameras.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the VideoError says it
    camera = cv2.VideoCapture(number)
    try:
        while True:
            read, frame = camera.read()
            if not read:
                raise VideoError("disconnected", str(number), "is a camera that gives no frame")
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    finally:
        camera.release()


def _from_stream(source: str) -> Generator[np.ndarray, None, None]:
    to_rgb = RGBConverter()
    file: Any = sys.stdin.buffer if source == STDIN else source
    try:
        with av.open(file, "r", options=_OPTIONS, timeout=_TIMEOUT) as container:
            stream = next(iter(container.streams.video), None)
            if stream is None or stream.codec_context is None:
                raise VideoError("disconnected", source, "has no video that FFmpeg knows")
            for packet in chain(packets_of(container, stream), [None]):
                yield from map(to_rgb, stream.codec_context.decode(packet))
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError("disconnected", source, f"cannot be read ({reason})") from error
