"""Measures against values worked out by hand, and against their definitions."""

import numpy as np
import pytest

from tsn.evaluation.metrics import average_precision, main_measure, metrics


def result(scores, labels, classes=None) -> dict:
    scores = np.array(scores, float)
    names = classes or tuple("abcdefgh"[: scores.shape[1]])
    return metrics(scores, np.array(labels), names)


def test_top1_is_the_share_of_videos_and_mean_class_that_of_classes():
    """Class a: 3 of 4 right; class b: 0 of 1; so 3/5 and (3/4 + 0)/2."""
    found = result([[2, 1], [2, 1], [2, 1], [1, 2], [2, 1]], [0, 0, 0, 0, 1])
    assert found["videos"] == 5
    assert found["top1"] == pytest.approx(3 / 5)
    assert found["mean_class"] == pytest.approx(3 / 8)
    assert found["per_class"] == {"a": 0.75, "b": 0.0}


def test_f1_is_the_mean_of_the_classes():
    """a: 2 TP, 1 FP, 1 FN; b: 1 TP, 1 FP, 2 FN (one has no score); c is predicted once and never
    tested, so it is left out. 4/6 and 2/5; scikit-learn's f1_score(labels=[0, 1])."""
    rows = [[2, 1, 0], [2, 1, 0], [1, 2, 0], [2, 1, 0], [1, 2, 0], [np.nan] * 3]
    assert result(rows, [0, 0, 0, 1, 1, 1])["f1"] == pytest.approx((4 / 6 + 2 / 5) / 2)
    rows[0] = [0, 0, 1]
    assert result(rows, [0, 0, 0, 1, 1, 1])["f1"] == pytest.approx((2 / 5 + 2 / 5) / 2)


def test_top5_is_the_best_five():
    """The true class is ranked 1st, 5th, 6th and 7th."""
    row = [7, 6, 5, 4, 3, 2, 1]
    found = result([row] * 4, [0, 4, 5, 6])
    assert (found["top1"], found["top5"]) == (0.25, 0.5)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_with_up_to_five_classes_every_video_is_in_the_top5(classes):
    found = result(np.eye(classes), np.roll(range(classes), 1))
    assert (found["top1"], found["top5"]) == (0, 1)


def test_equal_scores_are_ranked_by_class_number():
    found = result([[1, 1, 1], [1, 1, 1], [0, 1, 1]], [0, 1, 1])
    assert found["per_class"] == {"a": 1.0, "b": 0.5}
    # Six winners of 101 classes: the first is the best, the last is not among the best five.
    winners = [3, 20, 40, 60, 80, 100]
    row = np.isin(np.arange(101), winners).astype(float)
    names = tuple(map(str, range(101)))
    for rank, label in enumerate(winners):
        found = result([row], [label], names)
        assert (found["top1"], found["top5"]) == (rank == 0, rank < 5)


def test_a_class_without_test_videos_is_left_out_of_the_mean():
    found = result([[1, 0, 0], [0, 0, 1]], [0, 2])
    assert found["mean_class"] == found["f1"] == 1 and set(found["per_class"]) == {"a", "c"}


@pytest.mark.parametrize("row", [[np.nan] * 3, [9, np.nan, 0]])
def test_a_video_without_a_score_is_wrong_in_every_measure(row):
    found = result([[1, 0, 0], row], [0, 0])
    assert (found["videos"], found["top1"], found["top5"]) == (2, 0.5, 0.5)
    assert found["mean_class"] == 0.5


def test_the_result_is_plain_values():
    import json

    json.dumps(result([[1, 0]], [0]))


@pytest.mark.parametrize("labels", [[], [-1], [2]])
def test_labels_are_those_of_the_classes(labels):
    with pytest.raises(ValueError, match="labels must be 0…1"):
        metrics(np.zeros((len(labels), 2)), np.array(labels, int), ("a", "b"))


def defined_precision(scores, positive) -> float:
    """The sum over all thresholds of precision times the gain in recall."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        recall = positive[chosen].sum() / positive.sum()
        total += positive[chosen].mean() * (recall - before)
        before = recall
    return total


@pytest.mark.parametrize("values", [3, 1000])
def test_average_precision_is_that_of_its_definition(values):
    """Also with many equal scores."""
    rng = np.random.default_rng(values)
    for _ in range(20):
        scores, positive = rng.integers(values, size=30).astype(float), rng.random(30) < 0.3
        positive[0] = True
        found = average_precision(scores, positive)
        assert found == pytest.approx(defined_precision(scores, positive), abs=1e-12)


def test_average_precision_of_a_ranking():
    """Positives at ranks 1, 3 and 6: (1 + 2/3 + 3/6) / 3; one that is never found: / 4."""
    positive = np.array([1, 0, 1, 0, 0, 1], bool)
    scores = np.array([9.0, 8, 7, 6, 5, 4])
    assert average_precision(scores, positive) == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert average_precision(scores, positive, 4) == pytest.approx((1 + 2 / 3 + 3 / 6) / 4)


SEVERAL = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0]], bool)
"""Three videos of the classes a, b, c; nobody is d."""


def test_measures_of_videos_with_several_classes():
    """Ranks of a: +, +, -; of b: -, +, +; of c: -, -, +. Above 0: a in 1, 3; b in 2, 3; c in 3."""
    found = result([[2, -1, -3, -9], [-2, 3, -2, -9], [1, 4, 0.5, -9]], SEVERAL)
    assert found["per_class"] == pytest.approx({"a": 1.0, "b": (1 / 2 + 2 / 3) / 2, "c": 1.0})
    assert found["map"] == pytest.approx((1 + 7 / 12 + 1) / 3)
    assert (found["videos"], found["top1"], found["top5"]) == (3, pytest.approx(2 / 3), 1)
    # b: one of two is found, and one that is none.
    assert found["f1"] == pytest.approx((1 + 2 * 1 / 4 + 1) / 3)
    assert main_measure(found) == "map" and "mean_class" not in found


def test_the_classes_of_a_video_without_a_score_are_never_found():
    found = result([[np.nan] * 4, [-2, 3, -2, -9], [1, -4, 2, -9]], SEVERAL)
    assert found["per_class"] == pytest.approx({"a": 0.5, "b": 0.5, "c": 1.0})
    assert found["top1"] == found["top5"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)


def test_f1_is_that_of_the_classes_above_the_threshold():
    rows = np.array([[0.6, 0.6, 0.1, 0.4], [0.1, 0.9, 0.2, 0.1], [0.7, 0.3, 0.8, 0.4]])
    assert metrics(rows, SEVERAL, tuple("abcd"), 0.5)["f1"] == 1


@pytest.mark.parametrize("labels", [SEVERAL[:, :3], SEVERAL[:0], ~SEVERAL[:, :3] & False])
def test_every_video_has_one_of_the_classes(labels):
    with pytest.raises(ValueError, match="with a class in every row"):
        metrics(np.zeros((len(labels), 4)), labels, tuple("abcd"))
