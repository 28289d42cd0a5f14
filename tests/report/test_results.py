"""Predictions of a split: matrices and counts against a handful of videos gone through by hand."""

import numpy as np
import pytest

from tsn.evaluation.predictions import (
    NO_PREDICTION,
    Confusion,
    confusion_matrix,
    effect_of_fusion,
    most_confused,
)
from tsn.report.results import predictions_of

# Videos jump/1.0, jump/1.1, run/1.0, run/1.1; the index numbers classes jump 0, run 1.
RGB, FLOW = [0, 1, 1, 1], [0, 0, 0, 1]


@pytest.fixture(scope="module")
def by_hand(make_run):
    return make_run(videos=2, predicted={"rgb": RGB, "flow": FLOW})


@pytest.fixture(scope="module")
def split(by_hand):
    return predictions_of(by_hand.result, str(by_hand.index), by_hand.scores)[0]


def test_every_modality_predicts_its_highest_score(split):
    assert split.ids == ("jump/1.0", "jump/1.1", "run/1.0", "run/1.1")
    assert split.labels.tolist() == [0, 0, 1, 1]
    assert split.predicted["rgb"].tolist() == RGB
    assert split.predicted["flow"].tolist() == FLOW


def test_the_matrix_has_labels_in_rows_and_predictions_in_columns(split):
    assert confusion_matrix([split], "rgb").tolist() == [[1, 1, 0], [0, 2, 0]]
    assert confusion_matrix([split], "flow").tolist() == [[2, 0, 0], [1, 1, 0]]
    assert confusion_matrix([split, split], "flow").tolist() == [[4, 0, 0], [2, 2, 0]]


def test_a_quarantined_video_has_no_prediction_and_a_column_of_its_own(make_run):
    run = make_run(videos=2, lost=("run/1.0",))
    split = predictions_of(run.result, str(run.index), run.scores)[0]
    assert [labels[2] for labels in split.predicted.values()] == [NO_PREDICTION] * 3
    assert confusion_matrix([split])[1, 2] == 1
    assert confusion_matrix([split]).sum() == 4


def test_confusions_are_sorted_by_number_and_leave_correct_predictions_out():
    counts = np.array([[5, 2, 0, 0], [3, 4, 0, 1], [2, 0, 9, 0]])
    assert most_confused(counts, ("a", "b", "c"), most=2) == [
        Confusion("b", "a", 3, 8),
        Confusion("a", "b", 2, 7),
    ]


def test_fusion_is_compared_with_each_modality(split):
    right = {name: labels == split.labels for name, labels in split.predicted.items()}
    gain = effect_of_fusion([split])
    assert list(gain) == ["rgb", "flow"]
    # Per modality, gains less losses are the difference of the numbers of correct predictions.
    for name, entry in gain.items():
        assert entry["gained"] - entry["lost"] == right["fused"].sum() - right[name].sum()
    # Each is wrong once, where the other is right: fusion may follow either one.
    assert gain["rgb"]["gained"] + gain["flow"]["lost"] in (1, 2)
