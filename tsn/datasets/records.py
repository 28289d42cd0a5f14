"""The record of a video, from the list that names it to the shard that holds its frames."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field, replace

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
        class_name: its class, the first of several; "" if unknown.
        label: number of the class, from 0; -1 until the index numbers the classes.
        splits: number of a split -> "train" or "test"; splits that leave it out are not there.
        group: id shared by related clips, which are never split between train and test; unique for
            a video that has none.
        span: of a clip in its file; None for all of it.
        stamp: size and modification time of the file, which change when it does, or `MISSING`.
        others: further classes with their labels, of a video that has several.
    """

    id: str
    path: str
    class_name: str = ""
    label: int = -1
    splits: dict[int, str] = field(default_factory=dict, hash=False)
    group: str = ""
    stamp: str = ""
    span: Span | None = None
    others: tuple[tuple[str, int], ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """All its classes, in the order of their labels."""
        return self.class_name, *(name for name, _ in self.others)

    def with_classes(self, names: Sequence[str]) -> "Video":
        """The same video with these classes, not numbered."""
        others = tuple((name, -1) for name in names[1:])
        return replace(self, class_name=names[0], label=-1, others=others)

    def restricted_to(self, classes: Container[str]) -> "Video | None":
        """The video with those of its classes that are among `classes`; None if none is."""
        if not self.others:
            return self if self.class_name in classes else None
        names = [name for name in self.classes if name in classes]
        return self.with_classes(names) if names else None

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels of its classes."""
        return self.label, *(label for _, label in self.others)

    @property
    def class_text(self) -> str:
        """Its classes for a table: several are separated by a vertical bar."""
        return "|".join(self.classes)

    @property
    def missing(self) -> bool:
        """Whether the file was not on disk."""
        return self.stamp == MISSING
