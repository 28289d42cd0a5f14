"""What each modality and the fusion answer for every test video of a split."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tsn.datasets.index import Video, class_names, members
from tsn.evaluation.fusion import align, fuse
from tsn.evaluation.scores import Scores
from tsn.models.modality import FUSED

NO_ANSWER = -1
"""Stands for the class where a video has no scores: it is quarantined in one of the streams."""


@dataclass(frozen=True)
class Answers:
    """The classes that were answered for the test videos of one split.

    Attributes:
        split: its number.
        classes: C names in label order.
        ids: of the V test videos, quarantined ones included, in the order of the index.
        truth: int64 (V,), true labels.
        given: int64 (V,) by modality, and by `FUSED`: labels, or `NO_ANSWER`.
    """

    split: int
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    truth: np.ndarray
    given: dict[str, np.ndarray]


def answers(
    scores: list[Scores], weights: dict[str, float], index: list[Video], level: str = "score"
) -> Answers:
    """The answers of one split: the class with the highest score, the first of several.

    Args:
        scores: of all modalities on one split.
        weights: of the fusion, by modality.
        index: the data set.
        level: of the fusion, see `tsn.evaluation.fusion.combine`.

    Raises:
        UserError: if the scores do not match each other or the index.
    """
    videos = members(index, scores[0].split, "test")
    values = {entry.modality: align(entry, videos) for entry in scores}
    values[FUSED] = fuse(scores, weights, videos, level)
    return Answers(
        scores[0].split,
        tuple(class_names(index)),
        tuple(video.id for video in videos),
        np.array([video.label for video in videos], np.int64),
        {name: _highest(table) for name, table in values.items()},
    )


def _highest(values: np.ndarray) -> np.ndarray:
    """Label of the highest score of every row (V, C); `NO_ANSWER` where one is NaN."""
    return np.where(np.isnan(values).any(1), NO_ANSWER, np.nan_to_num(values).argmax(1))


def confusion(splits: list[Answers], scores: str = FUSED) -> np.ndarray:
    """Test videos of all splits by true class and answer.

    Args:
        splits: answers over the same classes.
        scores: a modality, or `FUSED`.

    Returns:
        int64 (C, C + 1): rows are true classes, columns answers; the last column counts videos
        without an answer.
    """
    size = len(splits[0].classes)
    counts = np.zeros((size, size + 1), np.int64)
    for split in splits:
        # NO_ANSWER is -1: the last column.
        np.add.at(counts, (split.truth, split.given[scores]), 1)
    return counts


@dataclass(frozen=True)
class Mistake:
    """`count` of `videos` test videos of the class `true` were taken for the class `answer`."""

    true: str
    answer: str
    count: int
    videos: int


def most_confused(counts: np.ndarray, classes: tuple[str, ...], most: int = 10) -> list[Mistake]:
    """The commonest mistakes, by number of videos; equal ones by name.

    Args:
        counts: from `confusion`.
        classes: C names.
        most: how many to give.
    """
    wrong = counts[:, :-1].copy()
    np.fill_diagonal(wrong, 0)
    found = [
        Mistake(classes[true], classes[answer], int(wrong[true, answer]), int(counts[true].sum()))
        for true, answer in np.argwhere(wrong)
    ]
    return sorted(found, key=lambda m: (-m.count, m.true, m.answer))[:most]


def rescued(splits: list[Answers]) -> dict[str, Counter]:
    """What fusion gains and loses against each modality.

    Returns:
        By modality: "gained", videos that only the fusion answers rightly, and "lost", videos that
        only the modality answers rightly; counts over all splits.
    """
    total: dict[str, Counter] = {}
    for split in splits:
        right = {name: given == split.truth for name, given in split.given.items()}
        for name in (n for n in right if n != FUSED):
            entry = total.setdefault(name, Counter())
            entry["gained"] += int((right[FUSED] & ~right[name]).sum())
            entry["lost"] += int((right[name] & ~right[FUSED]).sum())
    return total
