"""Per-class accuracy, confusion matrix and complementarity of a split worked out by hand.

Six test videos of three classes; predictions (x: no prediction):

    video  class  rgb  flow  fused
    a      red    red  blue  red      only rgb, and the fusion
    b      red    red  red   red
    c      blue   red  blue  red      only flow
    d      blue   red  red   blue     only the fusion
    e      green  x    x     x
    f      green  red  red   red
"""

import json

import numpy as np
import pytest

from tsn.evaluation.predictions import (
    NO_PREDICTION,
    SplitPredictions,
    complementarity,
    describe,
    write_confusion,
    write_per_class,
    write_videos,
)
from tsn.runtime.files import read_tsv

CLASSES = ("red", "blue", "green")
RED, BLUE, GREEN, X = 0, 1, 2, NO_PREDICTION


@pytest.fixture
def split() -> SplitPredictions:
    return SplitPredictions(
        1,
        CLASSES,
        tuple("abcdef"),
        np.array([RED, RED, BLUE, BLUE, GREEN, GREEN]),
        {
            "rgb": np.array([RED, RED, RED, RED, X, RED]),
            "flow": np.array([BLUE, RED, BLUE, RED, X, RED]),
            "fused": np.array([RED, RED, RED, BLUE, X, RED]),
        },
        np.log([[3, 1, 1], [8, 1, 1], [2, 1, 1], [1, 3, 1], [np.nan] * 3, [3, 1, 1]]),
        "logits",
        "cross_entropy",
    )


def test_complementary_videos_are_named(split):
    found = complementarity(split)
    assert found.only == {"rgb": ["a"], "flow": ["c"]}
    assert found.only_and_fusion == {"rgb": ["a"], "flow": []}
    assert (found.only_fusion, found.lost_by_fusion) == (["d"], ["c"])


def test_the_most_frequent_confusions_come_first(split):
    found = describe(split)
    assert json.loads(json.dumps(found)) == found
    assert found["confused"] == [
        {"label": "blue", "predicted": "red", "count": 1, "videos": 2},
        {"label": "green", "predicted": "red", "count": 1, "videos": 2},
    ]
    assert found["complementarity"]["only_fusion"] == ["d"]


def test_the_confusion_matrix_counts_every_video_once(split, tmp_path):
    write_confusion(tmp_path / "c.json", split)
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["classes"] == list(CLASSES)
    # Columns: red, blue, green, no prediction.
    assert found["matrices"]["fused"] == [[2, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    assert found["matrices"]["flow"] == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]


def test_the_measures_of_a_class_are_in_a_row_with_its_videos(tmp_path):
    of = {"rgb": (1, 0), "flow": (0.5, 0.25), "fused": (1, 0.5)}
    per_class = {m: {"per_class": {"red": red, "blue": blue}} for m, (red, blue) in of.items()}
    fused = per_class.pop("fused")
    counts = {name: {"train": 9, "test": n} for n, name in enumerate(CLASSES, start=1)}
    result = {"modalities": per_class, "fused": fused, "class_videos": counts}
    write_per_class(tmp_path / "p.tsv", result)
    columns, rows = read_tsv(tmp_path / "p.tsv")
    assert columns == ("class", "videos", "rgb", "flow", "fused")
    assert [list(row.values()) for row in rows] == [
        ["red", "1", "1.0000", "0.5000", "1.0000"],
        ["blue", "2", "0.0000", "0.2500", "0.5000"],
    ]


def test_every_test_video_is_listed_with_its_predictions(split, tmp_path):
    write_videos(tmp_path / "v.tsv", split)
    _, rows = read_tsv(tmp_path / "v.tsv")
    assert [row["id"] for row in rows] == list("abcdef")
    assert [row["only_correct"] for row in rows] == ["rgb", "", "flow", "fused", "", ""]
    assert rows[4] == {
        "id": "e", "class": "green", "rgb": "", "flow": "", "fused": "", "only_correct": ""
    }  # fmt: skip
