"""The record of a video, from the list that names it to the shard that holds its frames."""

from dataclasses import dataclass, field

from tsn.video.span import Span

MISSING = "missing"
"""The stamp of a file that is not on disk."""


@dataclass(frozen=True, slots=True)
class Video:
    """One video of a data set, or a clip of one.

    Attributes:
        id: path below the video folder, without ending, and the span of a clip, or what a list
            says; unique in the data set.
        path: the file.
        class_name: its class; "" if unknown.
        label: number of the class, from 0; -1 until the index numbers the classes.
        splits: number of a split -> "train" or "test"; splits that leave it out are not there.
        group: id shared by related clips, which are never split between train and test; unique for
            a video that has none.
        span: of a clip in its file; None for all of it.
        stamp: size and modification time of the file, which change when it does, or `MISSING`.
    """

    id: str
    path: str
    class_name: str = ""
    label: int = -1
    splits: dict[int, str] = field(default_factory=dict, hash=False)
    group: str = ""
    stamp: str = ""
    span: Span | None = None

    @property
    def missing(self) -> bool:
        """Whether the file was not on disk."""
        return self.stamp == MISSING
