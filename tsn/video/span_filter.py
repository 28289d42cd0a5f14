"""Finding the frames of a clip in a long video, from the key frame before it where possible."""

import math
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tsn.video.span import Span

_SEEKABLE = ("mov", "matroska")
"""Containers whose time stamps are the same after a seek. Others are decoded from their start."""

_STEP = 10
"""Seconds to seek further back where a seek led behind the clip."""


class SpanFilter:
    """Which decoded frames belong to a span; they are those that a full decode would give.

    Where a span is in seconds, it leaves the container at the key frame before the span.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, span: Span):
        self._span, self._count = span, -1
        self._started = True
        self._scale: Fraction = stream.time_base or Fraction(1)
        self._rate = stream.average_rate or Fraction(25)
        self._first: int | None = None
        seekable = container.format.name.startswith(_SEEKABLE)
        if span.unit == "s" and span.start > 0 and seekable:
            self._first = _first_stamp(container, stream)
            self._started = False
            self._seek(container, stream)

    def is_over(self, frame: VideoFrame) -> bool:
        """Whether this frame and all that follow come after the span."""
        self._count += 1
        return self._started and self._position(frame) >= self._span.end

    def takes(self, frame: VideoFrame) -> bool:
        """Whether a frame is in the span."""
        # Before the first key frame, frames refer to others that were not decoded.
        self._started = self._started or frame.key_frame
        return self._started and self._position(frame) >= self._span.start

    def _position(self, frame: VideoFrame) -> float:
        if self._span.unit == "frames":
            return self._count
        if self._first is None:
            self._first = frame.pts
        if frame.pts is None or self._first is None:
            return float(self._count / self._rate)
        # To a microsecond: what is written in decimals is not a multiple of the time base.
        return round(float((frame.pts - self._first) * self._scale), 6)

    def _seek(self, container: InputContainer, stream: VideoStream) -> None:
        """Go to a key frame that is not behind the start of the span."""
        wanted = self._span.start
        while wanted > 0:
            # A clip may begin at a key frame, and its time in decimals a little before it.
            stamp = (self._first or 0) + math.floor((wanted + 1e-6) / self._scale)
            container.seek(stamp, stream=stream)
            key = next((p for p in container.demux(stream) if p.size and p.is_keyframe), None)
            if key is not None and key.pts is not None:
                at = round(float((key.pts - (self._first or 0)) * self._scale), 6)
                if at <= self._span.start:
                    container.seek(stamp, stream=stream)
                    stream.codec_context.flush_buffers()
                    return
            wanted -= _STEP
        _rewind(container, stream)
        self._started = True


def _first_stamp(container: InputContainer, stream: VideoStream) -> int | None:
    """The time stamp of the first frame that is shown."""
    first = next((frame.pts for frame in container.decode(stream)), None)
    _rewind(container, stream)
    return first


def _rewind(container: InputContainer, stream: VideoStream) -> None:
    container.seek(stream.start_time or 0, stream=stream)
    stream.codec_context.flush_buffers()
