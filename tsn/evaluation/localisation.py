"""Mean average precision of temporal localisation, as ActivityNet and THUMOS14 define it.

A detection is right if its tIoU with a true segment of its class reaches the threshold, and no
other detection has that segment already.

===========  =======================================================================
activitynet  detections choose, best first, the free segment with the highest tIoU
             (at least the threshold); precision is interpolated
thumos14     segments choose, in their order, the free detection of their video with
             the highest tIoU (above the threshold); precision is not interpolated;
             detections that touch a segment of the class "Ambiguous" do not count
===========  =======================================================================

Sources: Evaluation/eval_detection.py of ActivityNet; TH14evaldet.m, TH14eventdetpr.m of THUMOS14.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

AMBIGUOUS = "Ambiguous"
"""THUMOS14's class of what may or may not be an action."""

THRESHOLDS = tuple(n / 10 for n in range(1, 10))
"""Of tIoU."""


class Event(NamedTuple):
    """A class in a video from `start` to `end` seconds; a true one has no score."""

    video: str
    label: str
    start: float
    end: float
    score: float = 1.0


def overlaps(one: Sequence[float], others: np.ndarray) -> np.ndarray:
    """Temporal intersection over union of a segment (start, end) with N others, (N, 2) -> (N,)."""
    start, end = others.T
    inside = np.clip(np.minimum(one[1], end) - np.maximum(one[0], start), 0, None)
    union = (end - start) + (one[1] - one[0]) - inside
    return np.divide(inside, union, out=np.zeros(len(others)), where=union > 0)


def average_precisions(
    detected: Sequence[Event],
    truth: Sequence[Event],
    threshold: float,
    rule: Literal["activitynet", "thumos14"] = "activitynet",
) -> dict[str, float]:
    """Average precision (0…1) of each class of the truth at one threshold of tIoU."""
    classes = sorted({event.label for event in truth} - {AMBIGUOUS})
    ambiguous = _by_video([event for event in truth if event.label == AMBIGUOUS])
    found = {}
    for label in classes:
        true = [event for event in truth if event.label == label]
        ranked = sorted((e for e in detected if e.label == label), key=lambda e: -e.score)
        if rule == "activitynet":
            right = _chosen_by_detections(ranked, _by_video(true), threshold)
            found[label] = _interpolated(right, len(true))
        else:
            right = _chosen_by_truth(ranked, true, threshold)
            counts = right | ~_touching(ranked, ambiguous)
            right = right[counts]
            precision = right.cumsum() / np.arange(1, len(right) + 1)
            found[label] = float(precision[right].sum() / len(true))
    return found


def mean_average_precision(
    detected: Sequence[Event],
    truth: Sequence[Event],
    thresholds: Sequence[float] = THRESHOLDS,
    rule: Literal["activitynet", "thumos14"] = "activitynet",
) -> dict[float, float]:
    """Mean over the classes of the truth, by threshold."""
    return {
        threshold: float(
            np.mean(list(average_precisions(detected, truth, threshold, rule).values()))
        )
        for threshold in thresholds
    }


def _by_video(events: Sequence[Event]) -> dict[str, np.ndarray]:
    """Starts and ends, (N, 2), by video."""
    videos: dict[str, list] = {}
    for event in events:
        videos.setdefault(event.video, []).append((event.start, event.end))
    return {video: np.array(spans, float) for video, spans in videos.items()}


def _chosen_by_detections(
    ranked: Sequence[Event], true: dict[str, np.ndarray], threshold: float
) -> np.ndarray:
    free = {video: np.ones(len(spans), bool) for video, spans in true.items()}
    right = np.zeros(len(ranked), bool)
    for number, event in enumerate(ranked):
        if event.video in true:
            tiou = overlaps((event.start, event.end), true[event.video])
            eligible = np.where(free[event.video], tiou, -1.0)
            best = int(eligible.argmax())
            if eligible[best] >= threshold:
                right[number], free[event.video][best] = True, False
    return right


def _chosen_by_truth(
    ranked: Sequence[Event], true: Sequence[Event], threshold: float
) -> np.ndarray:
    right = np.zeros(len(ranked), bool)
    spans = _by_video(ranked)
    numbers: dict[str, list[int]] = {}
    for number, event in enumerate(ranked):
        numbers.setdefault(event.video, []).append(number)
    for event in true:
        if event.video in spans:
            own = numbers[event.video]
            tiou = overlaps((event.start, event.end), spans[event.video])
            eligible = np.where(right[own], -1.0, tiou)
            best = int(eligible.argmax())
            if eligible[best] > threshold:
                right[own[best]] = True
    return right


def _touching(ranked: Sequence[Event], ambiguous: dict[str, np.ndarray]) -> np.ndarray:
    return np.array(
        [
            event.video in ambiguous
            and bool(overlaps((event.start, event.end), ambiguous[event.video]).any())
            for event in ranked
        ],
        bool,
    )


def _interpolated(right: np.ndarray, positives: int) -> float:
    """Area under the curve of precision over recall, as PASCAL VOC 2011 interpolates it."""
    if not right.any():
        return 0.0
    precision = right.cumsum() / np.arange(1, len(right) + 1)
    highest_after = np.maximum.accumulate(precision[::-1])[::-1]
    return float(highest_after[right].sum() / positives)
