"""Fusion weights are chosen on held-out training videos, and on nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from tsn.datasets.records import Video
from tsn.evaluation.scores import Scores
from tsn.evaluation.search import search_weights
from tsn.runtime.errors import UserError

CLASSES = ("red", "blue")
TRAINING = [Video(f"t{n}", "", CLASSES[n % 2], n % 2, {1: "train", 2: "test"}) for n in range(6)]
TEST = [Video("x", "", "red", 0, {1: "test", 2: "train"})]
INDEX = [*TRAINING, *TEST]


def scores(modality: str, margins: list[float], videos=TRAINING, **changes) -> Scores:
    """Scores whose true class leads by `margins`, one per video."""
    values = np.zeros((len(margins), 2), np.float32)
    labels = np.array([video.label for video in videos[: len(margins)]])
    values[np.arange(len(margins)), labels] = margins
    known = Scores(
        "d", "e", 1, modality, tuple(v.id for v in videos[: len(margins)]), labels, values,
        CLASSES, "m", {}, {},
    )  # fmt: skip
    return replace(known, **changes)


def test_the_best_weights_are_found():
    """Flow alone is right everywhere; RGB, weighted .4 as by the paper, spoils the last two."""
    rgb = scores("rgb", [1, 1, 1, 1, -9, -9])
    flow = scores("flow", [1, 1, 1, 1, 1, 1])
    found = search_weights([rgb, flow], INDEX, 1, "logits")
    assert found["top1"] == 1 and found["paper_top1"] == pytest.approx(4 / 6)
    # .1 : .9 still fails (-.9 + .9 = 0), so RGB must go.
    assert found["weights"] == {"rgb": 0.0, "flow": 1.0}
    assert (found["videos"], found["tried"]) == (6, 11)


def test_of_equally_good_weights_the_papers_are_taken():
    """1 : 1.5 is .4 : .6."""
    right = [1.0] * 6
    found = search_weights([scores("rgb", right), scores("flow", right)], INDEX, 1, "logits")
    assert found["weights"] == {"rgb": 0.4, "flow": 0.6}


def test_what_is_fused_counts():
    """Loud wrong RGB scores need weight 0 as they are, and as shares only less than half."""
    rgb, flow = scores("rgb", [-90] * 4), scores("flow", [9] * 4)
    at = {of: search_weights([rgb, flow], INDEX, 1, of) for of in ("logits", "probabilities")}
    assert at["logits"]["weights"]["rgb"] == 0
    assert at["probabilities"]["weights"]["rgb"] == 0.4


def test_test_videos_are_refused():
    tested = scores("flow", [1], videos=TEST)
    with pytest.raises(UserError, match="'x', which is no training video of split 1"):
        search_weights([scores("rgb", [1.0] * 6), tested], INDEX, 1, "logits")


def test_a_video_that_one_modality_lacks_is_left_out():
    found = search_weights([scores("rgb", [1] * 6), scores("flow", [1] * 3)], INDEX, 1, "logits")
    assert found["videos"] == 3


def test_nothing_in_common_is_told():
    one = scores("rgb", [1, 1])
    other = replace(scores("flow", [1] * 4), ids=("t2", "t3", "t4", "t5"))
    with pytest.raises(UserError, match="no held-out video has scores of all modalities"):
        search_weights([one, other], INDEX, 1, "logits")


def test_videos_of_several_classes_choose_by_average_precision():
    """Of t1, which is not red, and t0, which is, RGB ranks t1 higher and flow t0."""
    both = Video("t0", "", "red", 0, {1: "train"}, others=(("blue", 1),))
    index = [both, TRAINING[1], TRAINING[2], *TEST]
    labels = np.array([[1, 1], [0, 1], [1, 0]], bool)
    rows = {"rgb": [[1, 1], [2, 1], [3, 0]], "flow": [[2, 1], [1, 1], [3, 0]]}
    found = search_weights(
        [
            replace(scores(name, [0] * 3), labels=labels, values=np.array(values, np.float32))
            for name, values in rows.items()
        ],
        index, 1, "logits",
    )  # fmt: skip
    assert found["map"] == 1 and found["weights"] == {"rgb": 0.4, "flow": 0.6}
