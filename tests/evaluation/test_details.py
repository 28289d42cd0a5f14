"""What lies behind the accuracies, against a split worked out by hand.

Six test videos of three classes; RGB, flow and the fusion answer (x: no answer):

    video  class  rgb  flow  fused
    a      red    red  blue  red      rgb alone, kept
    b      red    red  red   red
    c      blue   red  blue  red      flow alone, lost
    d      blue   red  red   blue     gained
    e      green  x    x     x
    f      green  red  red   red
"""

import json

import numpy as np
import pytest

from tsn.evaluation.answers import NO_ANSWER, Answers
from tsn.evaluation.details import (
    describe,
    rescues,
    write_confusion,
    write_per_class,
    write_videos,
)
from tsn.runtime.files import read_tsv

CLASSES = ("red", "blue", "green")
RED, BLUE, GREEN, X = 0, 1, 2, NO_ANSWER


@pytest.fixture
def given() -> Answers:
    return Answers(
        1,
        CLASSES,
        tuple("abcdef"),
        np.array([RED, RED, BLUE, BLUE, GREEN, GREEN]),
        {
            "rgb": np.array([RED, RED, RED, RED, X, RED]),
            "flow": np.array([BLUE, RED, BLUE, RED, X, RED]),
            "fused": np.array([RED, RED, RED, BLUE, X, RED]),
        },
    )


def test_who_rescues_whom(given):
    found = rescues(given)
    assert found.alone == {"rgb": ["a"], "flow": ["c"]}
    assert found.kept == {"rgb": ["a"], "flow": []}
    assert (found.gained, found.lost) == (["d"], ["c"])


def test_the_commonest_mistakes_come_first(given):
    found = describe(given)
    assert json.loads(json.dumps(found)) == found
    assert found["confused"] == [
        {"true": "blue", "answer": "red", "count": 1, "videos": 2},
        {"true": "green", "answer": "red", "count": 1, "videos": 2},
    ]
    assert found["rescued"]["gained"] == ["d"]


def test_the_confusion_matrix_counts_every_video_once(given, tmp_path):
    write_confusion(tmp_path / "c.json", given)
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["classes"] == list(CLASSES)
    # Columns: red, blue, green, no answer.
    assert found["matrices"]["fused"] == [[2, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]
    assert found["matrices"]["flow"] == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 1]]


def test_a_class_has_the_share_of_its_videos(given, tmp_path):
    write_per_class(tmp_path / "p.tsv", given)
    columns, rows = read_tsv(tmp_path / "p.tsv")
    assert columns == ("class", "videos", "rgb", "flow", "fused")
    assert [list(row.values()) for row in rows] == [
        ["red", "2", "1.0000", "0.5000", "1.0000"],
        ["blue", "2", "0.0000", "0.5000", "0.5000"],
        ["green", "2", "0.0000", "0.0000", "0.0000"],
    ]


def test_every_test_video_is_listed_with_its_answers(given, tmp_path):
    write_videos(tmp_path / "v.tsv", given)
    _, rows = read_tsv(tmp_path / "v.tsv")
    assert [row["id"] for row in rows] == list("abcdef")
    assert [row["rescued_by"] for row in rows] == ["rgb", "", "flow", "fused", "", ""]
    assert rows[4] == {
        "id": "e", "class": "green", "rgb": "", "flow": "", "fused": "", "rescued_by": ""
    }  # fmt: skip
