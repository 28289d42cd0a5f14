"""Temperature scaling: the best temperature, and on nothing but held-out training videos."""

import numpy as np
import pytest

from tests.evaluation.test_search import INDEX, TEST, scores
from tsn.evaluation.calibration import (
    TEMPERATURES,
    calibration_of,
    fit_fusion,
    fit_temperature,
)
from tsn.evaluation.fusion import combine, probabilities, to_logits, to_probabilities
from tsn.evaluation.metrics import BINS, reliability
from tsn.evaluation.predictions import NO_PREDICTION, SplitPredictions
from tsn.runtime.errors import UserError


def test_the_error_is_the_gap_between_confidence_and_accuracy_weighted_by_videos():
    """Bins at .9 (2 videos, 1 right) and .6 (1, right): (2 * .4 + .4) / 3; NaN is left out."""
    found = reliability(np.array([0.9, 0.9, 0.6, np.nan]), np.array([True, False, True, False]))
    assert found["ece"] == pytest.approx((2 * 0.4 + 0.4) / 3)
    assert [(round(b["confidence"], 2), b["accuracy"], b["videos"]) for b in found["bins"]] == [
        (0.6, 1.0, 1),
        (0.9, 0.5, 2),
    ]


def test_the_error_is_that_of_its_definition():
    """Guo et al. 2017, equation 3, over a sum for every bin ((m - 1) / 15, m / 15]."""
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.1, 1, 500)
    correct = rng.random(500) < confidence**2
    expected = 0.0
    for m in range(1, BINS + 1):
        inside = ((m - 1) / BINS < confidence) & (confidence <= m / BINS)
        if inside.any():
            gap = correct[inside].mean() - confidence[inside].mean()
            expected += inside.sum() / 500 * abs(gap)
    assert reliability(confidence, correct)["ece"] == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_the_temperature_has_the_least_cross_entropy(loss):
    rng = np.random.default_rng(1)
    logits, labels = 3 * rng.normal(size=(50, 4)), rng.integers(4, size=50)
    logits[np.arange(50), labels] += 2
    truth = labels[:, None] == np.arange(4)
    labels = truth if loss == "bce" else labels

    def cross_entropy(temperature: float) -> float:
        found = to_probabilities(logits, "logits", loss, temperature)
        return float(-np.log(np.where(truth, found, 1 - found))[truth | (loss == "bce")].mean())

    grid = np.geomspace(0.5, 10, 2000)
    best = grid[np.argmin([cross_entropy(t) for t in grid])]
    assert 1 < best < 9
    assert fit_temperature(logits, labels, loss) == pytest.approx(best, rel=2e-3)
    assert fit_temperature(2 * logits, labels, loss) == pytest.approx(2 * best, rel=2e-3)


def test_scores_that_are_always_right_have_a_bounded_temperature():
    assert fit_temperature(np.eye(3), np.arange(3)) == pytest.approx(TEMPERATURES[0])


def test_a_temperature_keeps_the_order_and_probabilities():
    fused = np.array([[2.0, 1.0, 0.5]])
    for of in ("logits", "probabilities"):
        soft = to_probabilities(fused, of, temperature=3.0)
        assert soft.sum() == pytest.approx(1) and (np.diff(soft) < 0).all()
        assert soft.max() < to_probabilities(fused, of).max()
    assert np.allclose(to_probabilities(fused, "probabilities"), fused / fused.sum())


def test_each_class_of_binary_cross_entropy_has_its_own_probability():
    logits = np.array([[2.0, 0.0, -3.0]])
    soft = to_probabilities(logits, "logits", "bce", 2.0)
    assert soft == pytest.approx(1 / (1 + np.exp(-logits / 2)))
    likely = probabilities(logits, "bce")
    assert to_probabilities(likely, "probabilities", "bce", 2.0) == pytest.approx(soft)
    assert to_probabilities(likely, "probabilities", "bce").tolist() == likely.tolist()
    assert to_logits(likely, "bce") == pytest.approx(logits)


def test_both_kinds_of_fusion_are_fitted():
    held_out = [scores("rgb", [1, 1, 1, -1, 2, 1]), scores("flow", [1, 1, -1, -1, 2, 1])]
    weights = {"rgb": 1.0, "flow": 1.5}
    labels = np.array([0, 1] * 3)
    for of in ("logits", "probabilities"):
        fused = combine({s.modality: s.values for s in held_out}, weights, of)
        at = [
            to_probabilities(fused, of, temperature=t)[np.arange(6), labels]
            for t in (1.0, fit_fusion(held_out, weights, INDEX, 1, of))
        ]
        assert np.log(at[1]).mean() > np.log(at[0]).mean()


def test_test_videos_are_refused():
    with pytest.raises(UserError, match=r"fusion\.calibrate: .*'x', which is no training video"):
        fit_fusion([scores("rgb", [1], videos=TEST)], {"rgb": 1.0}, INDEX, 1, "logits")


def test_a_split_says_how_it_is_calibrated_with_and_without_a_temperature():
    """Logits 0 and log 9: a probability of .9; at temperature 2, 3 / (3 + 1)."""
    fused = np.log(np.array([[9.0, 1], [9, 1], [np.nan, np.nan]]))
    split = SplitPredictions(
        1,
        ("red", "blue"),
        ("a", "b", "c"),
        np.array([0, 1, 0]),
        {"fused": np.array([0, 0, NO_PREDICTION])},
        fused,
        "logits",
        "cross_entropy",
    )
    plain, soft = calibration_of(split), calibration_of(split, 2.0)
    assert plain == {"temperature": None, "uncalibrated": soft["uncalibrated"]}
    assert soft["uncalibrated"]["ece"] == pytest.approx(0.4)
    assert soft["calibrated"]["ece"] == pytest.approx(0.25)
