"""Poolings of snippet scores against their rules in plain Python."""

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


def test_the_average_is_over_all_crops_at_once():
    """To the bit: a mean of means may differ in the last one."""
    expected = torch.from_numpy(VIDEO.reshape(15, 2)).mean(0).numpy()
    assert np.array_equal(pool_crops(torch.from_numpy(VIDEO)), expected)


@pytest.mark.parametrize("pooling", ["mean", "top0", "top", "top-1", ""])
def test_an_unknown_pooling_is_an_error(pooling):
    with pytest.raises(ValueError, match="is none of average, max, top2"):
        pool(SNIPPETS, pooling)


@pytest.mark.parametrize("shape", [(0, 3), (3,)])
def test_there_must_be_snippets(shape):
    with pytest.raises(ValueError, match="S above 0"):
        pool(np.zeros(shape), "max")
