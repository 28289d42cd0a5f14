"""The command `python -m tsn.localise`."""

import json

import pytest

from tsn.localise import main

TRUTH = {
    "database": {
        "v": {
            "subset": "validation",
            "annotations": [{"label": "a", "segment": [0, 10]}, {"label": "b", "segment": [5, 9]}],
        },
        "w": {"subset": "training", "annotations": [{"label": "c", "segment": [0, 1]}]},
    }
}
FOUND = {
    "results": {
        "v": [
            {"label": "a", "score": 0.9, "segment": [0, 10]},
            {"label": "b", "score": 0.4, "segment": [5, 7.5]},
            {"label": "z", "score": 0.4, "segment": [5, 7]},
        ]
    }
}


@pytest.fixture
def files(tmp_path):
    detections, truth = tmp_path / "detections.json", tmp_path / "truth.json"
    detections.write_text(json.dumps(FOUND))
    truth.write_text(json.dumps(TRUTH))
    return str(detections), str(truth)


def test_a_list_of_activitynet_is_evaluated(files, tmp_path, capsys):
    out = tmp_path / "map.json"
    assert main([*files, "--subset", "validation", "--json", str(out)]) == 0
    text = capsys.readouterr().out
    assert "tIoU 0.6  mAP 100.0 %" in text and "tIoU 0.7  mAP  50.0 %" in text
    assert "1 detected classes have no true segment and do not count: z" in text
    found = json.loads(out.read_text())
    assert found["map"]["0.6"] == 1 and found["ap"]["0.9"] == {"a": 1, "b": 0}


def test_tables_are_evaluated(files, tmp_path, capsys):
    table = tmp_path / "truth.csv"
    table.write_text("video,start,end,label\nv,0,10,a\n")
    assert main([files[0], str(table)]) == 0
    assert "tIoU 0.9  mAP 100.0 %" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,start,end\n", "no column 'label'"),
        ("video,label,start,end\nv,a,9,1\n", "a segment of v starts at 9 and ends at 1"),
        ("video,label,start,end\nv,a,x,1\n", "not a list of segments"),
        ("video,label,start,end\n", "has no segments"),
        ("video,label,start,end\nv,a,-inf,inf\n", "is not finite"),
        (f"video,label,start,end\nv,{'a' * 200_000},0,1\n", "field larger than"),
    ],
)
def test_a_wrong_table_is_one_sentence(files, tmp_path, capsys, text, words):
    table = tmp_path / "truth.csv"
    table.write_text(text)
    assert main([files[0], str(table)]) == 1
    error = capsys.readouterr().err
    assert words in error and "truth.csv" in error and error.count("\n") == 1


@pytest.mark.parametrize("score", ["", "nan"])
def test_a_detection_without_a_score_is_an_error(files, tmp_path, capsys, score):
    """It would be ranked by chance, or first of all."""
    table = tmp_path / "found.csv"
    table.write_text(f"video,label,start,end,score\nv,a,0,10,{score}\n")
    assert main([str(table), files[1]]) == 1
    assert "found.csv: is not a list of segments" in capsys.readouterr().err


def test_names_may_hold_any_line_separator(files, tmp_path, capsys):
    truth, found = tmp_path / "truth.csv", tmp_path / "found.csv"
    truth.write_text("video,label,start,end\nv\u2028x,a,0,10\n")
    found.write_text("video,label,start,end,score\nv\u2028x,a,0,10,1\n")
    assert main([str(found), str(truth)]) == 0
    assert "tIoU 0.9  mAP 100.0 %" in capsys.readouterr().out
