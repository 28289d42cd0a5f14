"""Which clips the demo data set has, without rendering any: nothing heavy is imported."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from tsn.runtime.errors import UserError

PATTERNS = ("checked", "dotted", "ringed")
MOTIONS = ("rises", "falls", "sways")


@dataclass(frozen=True)
class DemoClip:
    """One clip of the demo data set.

    Attributes:
        id: "class/name", the path of the video without ending.
        class_name: pattern and motion, as in "checked_ball_rises".
        split: "train" or "test".
        seed: what everything random in the clip is drawn from, 0...2^63 - 1.
        pattern: one of `PATTERNS`.
        motion: one of `MOTIONS`.
    """

    id: str
    class_name: str
    split: Literal["train", "test"]
    seed: int
    pattern: str
    motion: str


def plan(seed: int, train_per_class: int, test_per_class: int) -> list[DemoClip]:
    """The clips of the data set, without rendering any; cheap, and imports nothing heavy.

    A clip's own seed depends on `seed` and its id alone: with more clips per class, the ones
    that were there stay the same.

    Args:
        seed: any integer.
        train_per_class: training clips of each of the 9 classes, at least 1.
        test_per_class: test clips of each class, at least 1.

    Returns:
        The clips, class by class, training clips first.

    Raises:
        UserError: a number of clips is below 1.
    """
    counts: dict[Literal["train", "test"], int] = {"train": train_per_class, "test": test_per_class}
    for split, count in counts.items():
        if count < 1:
            raise UserError(
                f"{split}_per_class is {count}; the demo data set needs at least 1 {split} clip "
                "per class"
            )
    clips = []
    for pattern in PATTERNS:
        for motion in MOTIONS:
            name = f"{pattern}_ball_{motion}"
            for split, count in counts.items():
                for number in range(1, count + 1):
                    clip = f"{name}/{split}_{number:02d}"
                    clips.append(DemoClip(clip, name, split, _seed(seed, clip), pattern, motion))
    return clips


def _seed(seed: int, clip: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {clip}".encode()).digest()[:8], "big") >> 1
