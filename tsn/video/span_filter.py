"""Finding the frames of a clip in a long video, without decoding all that is before it."""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tsn.video.span import Span

_SEEKABLE = ("mov", "matroska")
"""Containers whose time stamps are the same after a seek. Others are decoded from their start."""

_STEP = 10
"""Seconds to seek further back where a seek led behind the clip."""


class SpanFilter:
    """Picks the frames of a span out of the decoded ones; they are those of a full decode.

    Where a span is in seconds, the decoder starts at the key frame before it; else at the start of
    the video, or where the span before ended.

    Args:
        container: the open video, before its first frame.
        stream: its stream.
        decode: what the decoder makes of it from where it is.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        decode: Callable[[], Iterator[VideoFrame]],
    ):
        self._container, self._stream, self._decode = container, stream, decode
        self._frames = enumerate(decode())
        self._next: tuple[int, VideoFrame] | None = None
        self._scale: Fraction = stream.time_base or Fraction(1)
        self._rate = stream.average_rate or Fraction(25)
        self._has_stamps = not _stamps_are_unordered(container, stream)
        self._first: int | None = None

    @property
    def is_paused(self) -> bool:
        """Whether another span may follow the one before."""
        return self._next is not None

    def distance(self, span: Span) -> float | None:
        """What is still to be decoded before a span, in its unit; None if it cannot be next."""
        if self._next is None or self._position(*self._next, span.unit) > span.start:
            return None
        return span.start - self._position(*self._next, span.unit)

    def frames(self, span: Span) -> Iterator[VideoFrame]:
        """The frames of a span."""
        seeks = span.unit == "s" and self._container.format.name.startswith(_SEEKABLE)
        ahead, self._next = [self._next] if self._next else [], None
        if seeks and span.start > 0:
            self._first = _first_stamp(self._container, self._stream)
            ahead = self._seek(span.start)
        for number, frame in chain(ahead, self._frames):
            if self._first is None:
                self._first = frame.pts
            position = self._position(number, frame, span.unit)
            if position >= span.end:
                self._next = None if seeks else (number, frame)
                return
            if position >= span.start:
                yield frame

    def _position(self, number: int, frame: VideoFrame, unit: str) -> float:
        if unit == "frames":
            return number
        if frame.pts is None or self._first is None or not self._has_stamps:
            return float(number / self._rate)
        # To a microsecond: what is written in decimals is not a multiple of the time base.
        return round(float((frame.pts - self._first) * self._scale), 6)

    def _seek(self, start: float) -> list[tuple[int, VideoFrame]]:
        """Go to a key frame before the start of a span, and decode its first usable frame.

        Returns that frame, or none at the start of the video.
        """
        container, stream, wanted = self._container, self._stream, start
        while wanted > 0:
            # A clip may begin at a key frame, and its time in decimals a little before it.
            stamp = (self._first or 0) + math.floor((wanted + 1e-6) / self._scale)
            container.seek(stamp, stream=stream)
            key = next((p for p in container.demux(stream) if p.size and p.is_keyframe), None)
            if key is not None and key.pts is not None:
                self._decode_from(stamp)
                # Frames shown before the key frame may refer to others that were not decoded.
                usable = (f for f in self._frames if f[1].pts is not None and f[1].pts >= key.pts)
                first = next(usable, None)
                # From a gradual refresh, the decoder shows nothing until it is complete.
                if first is not None and self._position(*first, "s") <= start:
                    return [first]
            wanted -= _STEP
        self._decode_from(stream.start_time or 0)
        return []

    def _decode_from(self, stamp: int) -> None:
        self._container.seek(stamp, stream=self._stream)  # it empties the decoder, too
        self._frames = enumerate(self._decode())


def _stamps_are_unordered(container: InputContainer, stream: VideoStream) -> bool:
    """Whether time stamps are those of decoding: AVI has no others, and FFmpeg cannot infer them
    where any number of frames may be shown later than frames coded after them.
    """
    codec = stream.codec_context
    reorders = codec.name in ("h264", "hevc", "vvc") and codec.has_b_frames
    return container.format.name == "avi" and bool(reorders)


def _first_stamp(container: InputContainer, stream: VideoStream) -> int | None:
    """The time stamp of the first frame that is shown; the container is behind it then."""
    return next((frame.pts for frame in container.decode(stream)), None)
