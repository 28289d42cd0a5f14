"""Cells of a table against accuracies worked out by hand."""

import json

import pytest

from tsn.report.markdown import table_markdown
from tsn.report.table_fill import fill_table
from tsn.runtime.errors import UserError


def cell(weights: dict, *runs: dict, published=None) -> dict:
    return {"weights": weights, "published": published, "runs": list(runs)}


def run(seed=1, **experiments) -> dict:
    return {"seed": seed, "split": 1, "experiments": experiments}


def plan(*rows: list[dict], names="abc") -> dict:
    return {
        "name": "t",
        "dataset": "tiny",
        "title": "Things",
        "origin": "paper",
        "setting": "BN-Inception",
        "note": "",
        "classes": 101,
        "columns": ["fused"] * len(rows[0]),
        "rows": [
            {
                "name": name,
                "experiment": name,
                "model": {"backbone": "resnet18", "input_size": 32},
                "test": {"segments": 3, "crops": 10},
                "fuse": "logits",
                "pooling": None,
                "cells": cells,
            }
            for name, cells in zip(names, rows, strict=False)
        ],
    }


@pytest.fixture
def fill(tmp_path, tiny_set):
    return lambda laid_down: fill_table(laid_down, tiny_set.index, str(tmp_path))


def test_a_cell_is_the_accuracy_of_the_weighted_sum(write_experiment, fill):
    """RGB is right on the first two of four videos, flow, surer, on the last three."""
    write_experiment("a", "rgb", [True, True, False, False])
    write_experiment("b", "flow", [False, True, True, True], margin=2)
    found = fill(
        plan(
            [cell({"rgb": 1.0}, run(rgb="a"))],
            [cell({"rgb": 1.0, "flow": 1.5}, run(rgb="a", flow="b"))],
            [cell({"rgb": 3.0, "flow": 1.0}, run(rgb="a", flow="b"))],
        )
    )
    assert [row["cells"][0]["ours"]["top1"] for row in found["rows"]] == [0.5, 0.75, 0.5]
    assert found["tested"] == {"1": {"videos": 4, "classes": 2}}
    assert json.loads(json.dumps(found)) == found


def test_seeds_give_a_mean_and_a_sample_deviation(write_experiment, fill):
    """Accuracies .5 and 1: mean .75, deviation sqrt(2 * .25**2) = .3536."""
    write_experiment("a", "rgb", [True, True, False, False])
    write_experiment("a.seed2", "rgb", [True] * 4)
    ours = fill(plan([cell({"rgb": 1.0}, run(rgb="a"), run(2, rgb="a.seed2"))]))
    ours = ours["rows"][0]["cells"][0]["ours"]
    assert ours["top1"] == 0.75 and ours["seeds"] == 2
    assert ours["spread"] == pytest.approx(0.3536, abs=1e-4)


def test_what_was_not_run_stays_empty(write_experiment, fill):
    write_experiment("a", "rgb", [True, True, True, False])
    empty, full = cell({"flow": 1.0}, published=81.0), cell({"rgb": 1.0}, run(rgb="a"))
    found = fill(plan([full, empty]))
    assert found["rows"][0]["cells"][1]["ours"] is None
    assert "| a | a | 75.0 |  | 81.0 |" in table_markdown(found)


def test_the_table_says_what_its_figures_are_of(write_experiment, fill):
    write_experiment("a", "rgb", [True] * 4)
    write_experiment("a.seed2", "rgb", [True, True, True, False])
    full = cell({"rgb": 1.0}, run(rgb="a"), run(2, rgb="a.seed2"), published=84.5)
    text = table_markdown(fill(plan([full])))
    assert "|  | experiment | **fused** | paper |" in text
    assert "| a | a | 87.5 ± 17.7 | 84.5 |" in text
    assert "resnet18 at 32 px, 3 snippets x 10 crop(s); split 1: 4 test videos of 2 classes" in text
    assert "mean ± sample standard deviation over the seeds 1, 2" in text
    assert "Paper: BN-Inception, 101 classes." in text


def test_fusion_weights_are_told_once_where_all_rows_share_them(write_experiment, fill):
    write_experiment("a", "rgb", [True] * 4)
    write_experiment("a", "flow", [True] * 4)
    both = {"rgb": 1.0, "flow": 1.5}
    alike = [[cell(both, run(rgb="a", flow="a"))] for _ in range(2)]
    line = "Fusion of fused: 1 RGB + 1.5 optical flow."
    assert table_markdown(fill(plan(*alike))).splitlines().count(line) == 1
    apart = plan(*alike[:1], [cell({"rgb": 1.0}, run(rgb="a"))])
    assert "Fusion of a: 1 RGB + 1.5 optical flow." in table_markdown(fill(apart))


def test_what_an_experiment_fuses_holds_in_tables(write_experiment, fill):
    """RGB is loud and wrong: as probabilities, 1.5 of flow outweigh 1 of RGB."""
    write_experiment("a", "rgb", [False] * 4, margin=100)
    write_experiment("a", "flow", [True] * 4, margin=10)
    row = [cell({"rgb": 1.0, "flow": 1.5}, run(rgb="a", flow="a"))]
    laid_down = plan(row, row, names=("scores", "probabilities"))
    laid_down["rows"][1]["fuse"] = "probabilities"
    found = fill(laid_down)
    assert [row["cells"][0]["ours"]["top1"] for row in found["rows"]] == [0, 1]
    assert "Probabilities are fused instead of logits in: probabilities." in table_markdown(found)


def test_searched_weights_are_those_of_each_run(write_experiment, fill, tmp_path):
    write_experiment("a", "rgb", [False] * 4)
    write_experiment("a", "flow", [True] * 4)
    write_experiment("a.seed2", "rgb", [False] * 4)
    write_experiment("a.seed2", "flow", [True] * 4)
    runs = []
    for seed, (name, flow) in enumerate({"a": 0.9, "a.seed2": 0.2}.items(), 1):
        weights = tmp_path / "tiny" / name / "split1" / "weights.json"
        weights.write_text(json.dumps({"weights": {"rgb": 1 - flow, "flow": flow}}))
        runs.append({**run(seed, rgb=name, flow=name), "searched_by": name})
    found = fill(plan([cell("search", *runs)]))
    filled = found["rows"][0]["cells"][0]
    assert [one["top1"] for one in filled["ours"]["runs"]] == [1, 0]
    assert filled["weights"] == pytest.approx({"rgb": 0.45, "flow": 0.55})
    assert "Fusion of fused: 0.45 RGB + 0.55 optical flow." in table_markdown(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"split": 2}, "scores are of split 2, not 1"),
        ({"classes": ("blue", "red")}, "other classes than the index"),
        ({"ids": tuple("wxyz")}, "the rgb scores hold 'w'"),
    ],
)
def test_scores_of_something_else_are_refused(write_experiment, fill, change, words):
    write_experiment("a", "rgb", [True] * 4, **change)
    with pytest.raises(UserError, match=words):
        fill(plan([cell({"rgb": 1.0}, run(rgb="a"))]))


def test_a_missing_score_file_is_named(fill):
    with pytest.raises(UserError, match=r"tiny/a/split1/rgb/scores\.h5: there is no such"):
        fill(plan([cell({"rgb": 1.0}, run(rgb="a"))]))
