"""Poolings of snippet scores against their rules in plain Python."""

import math
from fractions import Fraction
from statistics import fmean

import numpy as np
import pytest
import torch

from tsn.evaluation.pooling import pool, pool_crops

VIDEO = np.random.default_rng(4).normal(size=(5, 3, 2))
"""5 snippets, 3 crops, 2 classes."""

SNIPPETS = VIDEO.mean(1)


def by_hand(pooling: str) -> list[float]:
    pooled = []
    for label in range(2):
        of_snippets = [fmean(crop[label] for crop in snippet) for snippet in VIDEO.tolist()]
        highest = sorted(of_snippets, reverse=True)
        count = {"average": 5, "max": 1, "top2": 2, "top3": 3, "top5": 5, "top9": 5}[pooling]
        pooled.append(fmean(highest[:count]))
    return pooled


@pytest.mark.parametrize("pooling", ["average", "max", "top2", "top3", "top5", "top9"])
def test_a_pooling_follows_its_rule(pooling):
    assert pool(SNIPPETS, pooling) == pytest.approx(by_hand(pooling))
    assert pool_crops(torch.from_numpy(VIDEO), pooling) == pytest.approx(by_hand(pooling))
    several = pool(np.stack([SNIPPETS, SNIPPETS + 1]), pooling)
    assert several[1] == pytest.approx(several[0] + 1)


def window_by_hand(video: list[list[float]], label: int, stride: float) -> float:
    """Highest over crops, over windows; mean of the k highest windows; mean over the spans."""
    of_spans = []
    for span in (1, 2, 4, 8, 16):
        length = max(1, round(span / stride))
        step = math.ceil(Fraction(8, 10) * length)
        windows = []
        first = 0
        while first < len(video):
            inside = [crop[label] for snippet in video[first : first + length] for crop in snippet]
            windows.append(max(inside))
            first += step
        k = max(15, len(windows) // 4)
        of_spans.append(fmean(sorted(windows)[-k:]))
    return fmean(of_spans)


@pytest.mark.parametrize("count", [1, 14, 40, 170])
@pytest.mark.parametrize("stride", [0.5, 1, 3])
def test_windows_of_several_lengths_are_integrated(count, stride):
    """170 snippets: the quarter of the windows counts; 40: the 15; 14: all of them."""
    video = np.random.default_rng(count).normal(size=(count, 3, 2))
    expected = [window_by_hand(video.tolist(), label, stride) for label in range(2)]
    found = pool_crops(torch.from_numpy(video), "window", stride)
    assert found == pytest.approx(expected)


def test_the_average_is_over_all_crops_at_once():
    """To the bit, crop after crop: a mean of means may differ in the last one."""
    expected = torch.from_numpy(VIDEO.swapaxes(0, 1).reshape(15, 2)).mean(0).numpy()
    assert np.array_equal(pool_crops(torch.from_numpy(VIDEO)), expected)


@pytest.mark.parametrize("pooling", ["mean", "top0", "top", "top-1", ""])
def test_an_unknown_pooling_is_an_error(pooling):
    with pytest.raises(ValueError, match="is none of average, max, window, top2"):
        pool(SNIPPETS, pooling)


@pytest.mark.parametrize("shape", [(0, 3), (3,)])
def test_there_must_be_snippets(shape):
    with pytest.raises(ValueError, match="S above 0"):
        pool(np.zeros(shape), "max")
