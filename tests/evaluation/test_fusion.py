"""Late fusion joins by video id, and refuses what does not belong together."""

from dataclasses import replace

import numpy as np
import pytest

from tsn.config.schema import FusionConfig
from tsn.datasets.records import Video
from tsn.evaluation.fusion import combine, fuse, fuse_split, merge_experiments, softmax
from tsn.evaluation.predictions import confusion_matrix, predict_split, write_videos
from tsn.evaluation.scores import Scores
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv

CLASSES = ("red", "blue")
TRAIN = Video("t", "t.avi", "red", 0, {1: "train", 2: "test"})
VIDEOS = [
    Video("a", "a.avi", "red", 0, {1: "test"}),
    Video("b", "b.avi", "blue", 1, {1: "test"}),
    Video("c", "c.avi", "blue", 1, {1: "test"}),
]


def scores(modality: str, rows: dict, **changes) -> Scores:
    labels = {video.id: video.label for video in VIDEOS}
    known = Scores(
        "tiny",
        "tsn",
        1,
        modality,
        tuple(rows),
        np.array([labels.get(name, 0) for name in rows]),
        np.array(list(rows.values()), np.float32),
        CLASSES,
        "model",
        {},
        {"segments": 25},
    )
    return replace(known, **changes)


RGB = scores("rgb", {"a": [3, 1], "b": [4, 1], "c": [0, 2]})
FLOW = scores("flow", {"c": [1, 0], "a": [0, 1], "b": [0, 4]})
PAPER = {"rgb": 1.0, "flow": 1.5}


def test_fusion_is_the_weighted_sum_joined_by_id():
    """RGB + 1.5 flow: a (3, 1 + 1.5), b (4, 1 + 6), c (1.5, 2)."""
    assert fuse([RGB, FLOW], PAPER, VIDEOS).tolist() == [[3, 2.5], [4, 7], [1.5, 2]]


def test_the_order_of_videos_in_a_score_file_does_not_matter():
    shuffled = scores("flow", {"b": [0, 4], "c": [1, 0], "a": [0, 1]})
    one, other = (fuse([RGB, flow], PAPER, VIDEOS) for flow in (FLOW, shuffled))
    assert np.array_equal(one, other)


def test_a_modality_without_weight_takes_no_part():
    half = scores("warped_flow", {"a": [9, 9]})
    assert np.array_equal(
        fuse([RGB, FLOW, half], {**PAPER, "warped_flow": 0.0}, VIDEOS),
        fuse([RGB, FLOW], PAPER, VIDEOS),
    )


def test_a_video_that_one_modality_could_not_score_is_not_scored():
    flow = scores("flow", {"a": [0, 1], "b": [0, 4]})
    assert np.isnan(fuse([RGB, flow], PAPER, VIDEOS)).any(1).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dataset": "other"}, "dataset"),
        ({"split": 2}, "split"),
        ({"classes": ("blue", "red")}, "classes"),
        ({"protocol": {"segments": 3}}, "protocol"),
    ],
)
def test_scores_that_were_not_made_alike_are_refused(changes, word):
    with pytest.raises(UserError, match=rf"fusion: the rgb scores have {word}.*flow"):
        fuse([RGB, replace(FLOW, **changes)], PAPER, VIDEOS)


def test_every_modality_is_compared_with_the_first():
    with pytest.raises(UserError, match=r"the rgb scores have split 1, the warped_flow scores 2"):
        fuse([RGB, FLOW, replace(FLOW, modality="warped_flow", split=2)], PAPER, VIDEOS)


def test_a_score_of_a_video_that_the_split_does_not_test_is_refused():
    stranger = scores("flow", {"a": [0, 1], "b": [0, 1], "c": [0, 1], "t": [1, 0]})
    with pytest.raises(UserError, match="flow scores hold 't'"):
        fuse([RGB, stranger], PAPER, VIDEOS)


def test_another_label_is_refused():
    with pytest.raises(UserError, match="flow scores hold"):
        fuse([RGB, replace(FLOW, labels=1 - FLOW.labels)], PAPER, VIDEOS)


def test_a_weighted_modality_without_scores_is_named():
    with pytest.raises(UserError, match="no scores of flow"):
        fuse([RGB], PAPER, VIDEOS)


def fused(flow=FLOW, compare=None, split=1):
    config = FusionConfig(PAPER, compare or {})
    return fuse_split([RGB, flow], config, [TRAIN, *VIDEOS], split, "mine")


def test_a_split_reports_every_modality_and_the_fusion():
    """RGB is right on a and c, flow on b; the sums (see above) are right on all three."""
    found = fused()
    assert (found["split"], found["train_videos"], found["test_videos"]) == (1, 1, 3)
    accuracy = {name: entry["top1"] for name, entry in found["modalities"].items()}
    assert accuracy == pytest.approx({"rgb": 2 / 3, "flow": 1 / 3})
    assert found["fused"]["top1"] == 1 and found["fused"]["weights"] == PAPER
    assert found["not_scored"] == []


def test_a_quarantined_test_video_counts_as_wrong():
    found = fused(scores("flow", {"a": [0, 1], "b": [0, 4]}))
    assert found["test_videos"] == found["fused"]["videos"] == 3
    assert found["fused"]["top1"] == pytest.approx(2 / 3)
    assert found["fused"]["top5"] == pytest.approx(2 / 3)
    assert found["not_scored"] == ["c"]
    assert found["modalities"]["rgb"]["top1"] == pytest.approx(2 / 3)
    assert found["modalities"]["flow"]["videos"] == 3
    assert found["modalities"]["flow"]["top1"] == pytest.approx(1 / 3)


def test_further_combinations_are_reported_by_name():
    found = fused(compare={"rgb alone": {"rgb": 1}})["compare"]["rgb alone"]
    assert found["top1"] == pytest.approx(2 / 3) and found["weights"] == {"rgb": 1}


def test_scores_of_another_split_are_refused():
    with pytest.raises(UserError, match="rgb scores are of split 1, not 2"):
        fused(split=2)


@pytest.mark.parametrize("classes", [("red", "blue", "green"), ("blue", "red")])
def test_scores_of_other_classes_than_the_index_has_are_refused(classes):
    one, other = (replace(s, classes=classes) for s in (RGB, FLOW))
    with pytest.raises(UserError, match="other classes than the index"):
        fuse_split([one, other], FusionConfig(PAPER), [TRAIN, *VIDEOS], 1, "mine")


def test_softmax_level_sums_probabilities():
    """Shares of (log 3, 0) are 3/4 and 1/4, of (0, log 9) 1/10 and 9/10."""
    one, other = np.array([[np.log(3), 0]]), np.array([[0, np.log(9)]])
    found = combine({"rgb": one, "flow": other}, {"rgb": 1.0, "flow": 2.0}, "probabilities")
    assert found == pytest.approx(np.array([[0.75 + 0.2, 0.25 + 1.8]]))


def test_softmax_level_keeps_a_modality_with_large_scores_from_deciding_alone():
    loud = {"rgb": np.array([100.0, 0.0]), "flow": np.array([0.0, 10.0])}
    weights = {"rgb": 1.0, "flow": 1.5}
    assert combine(loud, weights).argmax() == 0
    assert combine(loud, weights, "probabilities").argmax() == 1


def test_what_is_fused_holds_for_accuracies_and_predictions():
    """RGB is loud and wrong on a; as shares, 1.5 of flow are more than 1 of RGB."""
    loud = scores("rgb", {"a": [0, 100], "b": [0, 1], "c": [0, 1]})
    flow = scores("flow", {"a": [10, 0], "b": [0, 1], "c": [0, 1]})
    index = [TRAIN, *VIDEOS]
    for fused_of, right in (("logits", 2), ("probabilities", 3)):
        config = FusionConfig(PAPER, {"again": PAPER}, fused_of)
        found = fuse_split([loud, flow], config, index, 1, "mine")
        for entry in (found["fused"], found["compare"]["again"]):
            assert entry["top1"] == pytest.approx(right / 3) and entry["fuse"] == fused_of
        split = predict_split([loud, flow], PAPER, index, fused_of)
        assert (split.predicted["fused"] == split.labels).sum() == right


def test_the_fusion_says_whose_models_it_fuses():
    found = fused(replace(FLOW, experiment="other", model="m2"))
    assert (found["dataset"], found["experiment"]) == ("tiny", "mine")
    assert found["models"] == {
        "rgb": {"experiment": "tsn", "sha256": "model", "shards": {}, "engine": "torch"},
        "flow": {"experiment": "other", "sha256": "m2", "shards": {}, "engine": "torch"},
    }
    assert found["protocol"] == {"segments": 25} and found["fused"]["fuse"] == "logits"


@pytest.mark.parametrize(
    ("weights", "of"),
    [
        ({}, "logits"),
        ({"rgb": 0}, "logits"),
        ({"rgb": -1}, "logits"),
        ({"rgb": float("nan")}, "logits"),
        ({"rgb": 1}, "sum"),
    ],
)
def test_senseless_weights_are_refused(weights, of):
    with pytest.raises(ValueError, match="must be"):
        combine({"rgb": np.zeros((1, 2))}, weights, of)


BOTH = Video("d", "d.avi", "red", 0, {1: "test"}, others=(("blue", 1),))
SEVERAL = [*VIDEOS, BOTH]
"""a is red, b and c are blue, d is both."""


def several(modality: str, rows: dict) -> Scores:
    labels = np.array([[1, 0], [0, 1], [0, 1], [1, 1]], bool)[["abcd".index(name) for name in rows]]
    return scores(modality, rows, labels=labels, loss="bce")


def test_videos_of_several_classes_are_measured_by_average_precision():
    """RGB takes c for red: red is ranked c, d, a, and blue b, d, c."""
    rgb = several("rgb", {"a": [1, -2], "b": [-3, 4], "c": [3, -3], "d": [2, 1]})
    flow = several("flow", {"d": [1, 1], "c": [-9, 9], "b": [0, 0], "a": [0, 0]})
    index = [*SEVERAL, TRAIN]
    found = fuse_split([rgb, flow], FusionConfig(PAPER), index, 1, "tsn")
    of_rgb = found["modalities"]["rgb"]
    precisions = {"red": (1 / 2 + 2 / 3) / 2, "blue": (1 + 1 + 3 / 4) / 3}
    assert of_rgb["per_class"] == pytest.approx(precisions)
    assert of_rgb["top1"] == 0.75 and found["fused"]["map"] == 1
    assert found["class_videos"]["red"] == {"train": 1, "test": 2}
    assert found["class_videos"]["blue"] == {"train": 0, "test": 3}


def test_probabilities_of_binary_cross_entropy_are_logistic():
    found = combine({"rgb": np.array([[0.0, 800, -800]])}, {"rgb": 2}, "probabilities", "bce")
    assert found.tolist() == [[1, 2, 0]]


def test_a_prediction_is_correct_if_it_is_one_of_the_classes(tmp_path):
    rgb = several("rgb", {"a": [1, 2], "b": [1, 2], "d": [2, 1]})
    split = predict_split([rgb], {"rgb": 1}, [*SEVERAL, TRAIN], "logits")
    assert split.correct["rgb"].tolist() == [False, True, False, True]
    # a counts as red taken for blue, c has no prediction, d as red.
    assert confusion_matrix([split]).tolist() == [[1, 1, 0], [0, 1, 1]]
    write_videos(tmp_path / "v.tsv", split)
    assert [row["class"] for row in read_tsv(tmp_path / "v.tsv")[1]][-1] == "red|blue"


def test_scores_of_one_class_a_video_do_not_go_with_an_index_of_several():
    one = scores("rgb", {"a": [1, -2]})
    with pytest.raises(UserError, match="other classes than the index"):
        fuse_split([one], FusionConfig({"rgb": 1}), [*SEVERAL, TRAIN], 1, "tsn")


def test_experiments_are_the_mean_of_their_scores_joined_by_id():
    other = scores("rgb", {"c": [4, 0], "a": [1, 5]}, experiment="k5", model="m2")
    merged, flow = merge_experiments([RGB, other, FLOW])
    assert flow is FLOW
    assert (merged.ids, merged.labels.tolist()) == (("a", "c"), [0, 1])
    assert merged.values.tolist() == [[2, 3], [2, 1]]
    assert (merged.experiment, merged.model) == ("tsn+k5", "model+m2")
    (likely,) = merge_experiments([RGB, other], "probabilities")
    a = (softmax(np.array([3.0, 1])) + softmax(np.array([1.0, 5]))) / 2
    assert np.allclose(softmax(likely.values[0]), a)


def test_experiments_of_other_shards_are_not_fused():
    other = scores("rgb", {"a": [1, 5]}, experiment="k5", shards={"size": [1, 1]})
    with pytest.raises(UserError, match="tsn and k5 were tested on different rgb shards"):
        merge_experiments([RGB, other])
