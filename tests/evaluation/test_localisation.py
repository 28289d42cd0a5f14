"""Mean average precision of localisation against independent statements of its definitions.

The published code itself agrees to 1e-12 on random lists (ActivityNet's eval_detection.py, and a
Python port of THUMOS14's TH14eventdetpr.m); it is not part of the project.
"""

import numpy as np
import pytest

from tsn.evaluation.localisation import (
    AMBIGUOUS,
    THRESHOLDS,
    Event,
    average_precisions,
    mean_average_precision,
    overlaps,
)


def tiou(one: Event, other: Event) -> float:
    inside = max(0.0, min(one.end, other.end) - max(one.start, other.start))
    return inside / (one.end - one.start + other.end - other.start - inside)


def by_hand(detected: list[Event], truth: list[Event], label: str, threshold: float) -> float:
    """ActivityNet: area under the curve whose precision is the highest at this recall or more."""
    true = [event for event in truth if event.label == label]
    taken, points, right = set(), [(0.0, 0.0)], 0
    ranked = sorted((e for e in detected if e.label == label), key=lambda e: -e.score)
    for rank, event in enumerate(ranked, 1):
        free = [t for t in true if t.video == event.video and t not in taken]
        best = max(free, key=lambda t: tiou(event, t), default=None)
        if best is not None and tiou(event, best) >= threshold:
            taken.add(best)
            right += 1
        points.append((right / len(true), right / rank))
    area, before = 0.0, 0.0
    for recall in sorted({recall for recall, _ in points}):
        area += (recall - before) * max(p for r, p in points if r >= recall)
        before = recall
    return area


def made_up(seed: int, count: int, scored: bool) -> list[Event]:
    rng = np.random.default_rng(seed)
    start, length, score = rng.random((3, count)) * [[60], [20], [1]]
    names = rng.integers(0, 3, (2, count))
    return [
        Event(f"v{v}", "abc"[c], s, s + n + 1, float(p) if scored else 1.0)
        for v, c, s, n, p in zip(*names, start, length, score, strict=True)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_activitynets_average_precision(seed):
    detected, truth = made_up(seed, 60, True), made_up(seed + 9, 25, False)
    for threshold in THRESHOLDS:
        found = average_precisions(detected, truth, threshold)
        expected = {label: by_hand(detected, truth, label, threshold) for label in "abc"}
        assert found == pytest.approx(expected)
    means = mean_average_precision(detected, truth)
    assert means[0.9] == pytest.approx(np.mean(list(expected.values())))


TRUE = [Event("v", "a", 0, 10), Event("v", "a", 20, 30)]


@pytest.mark.parametrize(
    ("detected", "expected"),
    [
        ([(0, 10, 0.9), (20, 30, 0.8)], 1.0),
        ([(0, 10, 0.9)], 0.5),
        # Right at ranks 2 and 3, and not interpolated.
        ([(50, 60, 0.9), (0, 10, 0.8), (20, 30, 0.7)], (1 / 2 + 2 / 3) / 2),
        # The second on the same segment is wrong.
        ([(0, 10, 0.9), (1, 10, 0.8), (20, 30, 0.7)], (1 + 2 / 3) / 2),
        # The segment chooses the better overlap, not the better score.
        ([(0, 7, 0.9), (0, 10, 0.8)], (1 / 2) / 2),
        # What touches an ambiguous one does not count.
        ([(41, 42, 0.9), (0, 10, 0.8), (20, 30, 0.7)], 1.0),
        # An overlap that equals the threshold does not suffice.
        ([(0, 5, 0.9)], 0.0),
        ([], 0.0),
    ],
)
def test_thumos14s_average_precision(detected, expected):
    events = [Event("v", "a", *numbers) for numbers in detected]
    truth = [*TRUE, Event("v", AMBIGUOUS, 40, 45)]
    assert average_precisions(events, truth, 0.5, "thumos14") == pytest.approx({"a": expected})


def test_an_overlap_is_intersection_over_union():
    found = overlaps((0, 10), np.array([[5, 15], [10, 20], [0, 10], [2, 4]]))
    assert found == pytest.approx([1 / 3, 0, 1, 0.2])
