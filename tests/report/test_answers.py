"""Who answers what: matrices and counts against a handful of videos gone through by hand."""

import numpy as np
import pytest

from tsn.evaluation.answers import NO_ANSWER, Mistake, confusion, most_confused, rescued
from tsn.report.results import answers_of

# Videos jump/1.0, jump/1.1, run/1.0, run/1.1; the index numbers classes jump 0, run 1.
RGB, FLOW = [0, 1, 1, 1], [0, 0, 0, 1]


@pytest.fixture(scope="module")
def by_hand(make_run):
    return make_run(videos=2, answers={"rgb": RGB, "flow": FLOW})


@pytest.fixture(scope="module")
def split(by_hand):
    return answers_of(by_hand.result, str(by_hand.index), by_hand.scores)[0]


def test_every_modality_answers_its_highest_score(split):
    assert split.ids == ("jump/1.0", "jump/1.1", "run/1.0", "run/1.1")
    assert split.truth.tolist() == [0, 0, 1, 1]
    assert split.given["rgb"].tolist() == RGB
    assert split.given["flow"].tolist() == FLOW


def test_the_matrix_has_truth_in_rows_and_answers_in_columns(split):
    assert confusion([split], "rgb").tolist() == [[1, 1, 0], [0, 2, 0]]
    assert confusion([split], "flow").tolist() == [[2, 0, 0], [1, 1, 0]]
    assert confusion([split, split], "flow").tolist() == [[4, 0, 0], [2, 2, 0]]


def test_a_quarantined_video_has_no_answer_and_a_column_of_its_own(make_run):
    run = make_run(videos=2, lost=("run/1.0",))
    split = answers_of(run.result, str(run.index), run.scores)[0]
    assert [given[2] for given in split.given.values()] == [NO_ANSWER] * 3
    assert confusion([split])[1, 2] == 1
    assert confusion([split]).sum() == 4


def test_mistakes_are_sorted_by_number_and_leave_right_answers_out():
    counts = np.array([[5, 2, 0, 0], [3, 4, 0, 1], [2, 0, 9, 0]])
    assert most_confused(counts, ("a", "b", "c"), most=2) == [
        Mistake("b", "a", 3, 8),
        Mistake("a", "b", 2, 7),
    ]


def test_fusion_is_compared_with_each_modality(split):
    right = {name: given == split.truth for name, given in split.given.items()}
    gain = rescued([split])
    assert list(gain) == ["rgb", "flow"]
    # Per modality, gains less losses are the difference of the numbers of right answers.
    for name, entry in gain.items():
        assert entry["gained"] - entry["lost"] == right["fused"].sum() - right[name].sum()
    # Each is wrong once, where the other is right: fusion may follow either one.
    assert gain["rgb"]["gained"] + gain["flow"]["lost"] in (1, 2)
