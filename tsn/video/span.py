"""A part of a video, by time or by frame numbers."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Span:
    """The frames with start <= their time or number < end, both counted from the first frame.

    In seconds ("s") a frame counts if it begins in the span; `end` may be infinite.

    Raises:
        ValueError: the unit is unknown, the start negative or not finite, or the end not after it.
    """

    start: float
    end: float
    unit: Literal["s", "frames"]

    def __post_init__(self) -> None:
        if self.unit not in ("s", "frames"):
            raise ValueError(f"the unit of a span must be 's' or 'frames', not {self.unit!r}")
        if not 0 <= self.start < self.end:  # NaN is neither
            raise ValueError(
                f"a span must have 0 <= start < end, not start {self.start} and end {self.end}"
            )

    def __str__(self) -> str:
        if self.unit == "s":
            return f"{self.start!r}-{self.end!r} s"
        return f"{self.start:.0f}-{self.end:.0f} frames"

    @classmethod
    def parse(cls, text: str) -> "Span | None":
        """What `str` made; None for an empty text, a whole video.

        Raises:
            ValueError: it is neither.
        """
        if not text:
            return None
        numbers, unit = text.split(" ")
        start, end = numbers.rsplit("-", 1)
        if unit == "s":
            return cls(float(start), float(end), "s")
        if unit == "frames":
            return cls(float(start), float(end), "frames")
        raise ValueError(f"not a span: {text!r}")
