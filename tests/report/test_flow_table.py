"""The table of flow algorithms: which data sets it compares, and what it says of them."""

from pathlib import Path

import pytest

from tsn.config.experiments import Configuration
from tsn.report.flow_plan import flow_scores, flow_table_inputs, plan_flow_table
from tsn.report.flow_table import fill_flow_table, flow_table_markdown
from tsn.runtime.errors import UserError


def folder(flow=None, **more) -> dict:
    override = {"override": {"flow": flow}} if flow else {}
    return {"layout": "folder", "videos": "videos", **override, **more}


@pytest.fixture
def plan(config):
    """A function: datasets -> the plan of `tiny`."""

    def make(**datasets: dict) -> dict:
        config["datasets"] = {"tiny": folder(), **datasets}
        return plan_flow_table(Configuration(config), "tiny")

    return make


def test_data_sets_of_the_same_videos_and_other_flow_are_compared(plan):
    found = plan(
        quick=folder({"algorithm": "dis"}),
        again=folder(),
        elsewhere=folder({"algorithm": "dis"}, videos="others"),
    )
    assert [row["dataset"] for row in found["rows"]] == ["tiny", "quick"]
    assert flow_scores(found, 1, "r")[1] == "r/quick/tsn/split1/flow/scores.h5"
    assert "r/tiny/tsn/split1/rgb/scores.h5" in flow_table_inputs(found, "r")
    assert found["weights"] == {"rgb": 1.0, "flow": 1.5}


def test_nothing_to_compare_is_told(plan):
    with pytest.raises(UserError, match="no other data set of the configuration"):
        flow_table_inputs(plan(again=folder()), "r")


def test_a_row_has_the_accuracies_and_the_cost_of_a_pair(
    plan, write_experiment, tiny_set, tmp_path
):
    """RGB is right on the first two of four videos; flow on all, or, less sure, on the last."""
    found = plan(quick=folder({"algorithm": "dis"}))
    write_experiment("tsn", "rgb", [True, True, False, False])
    write_experiment("tsn", "flow", [True, True, True, True], margin=2)
    tiny = tmp_path / "tiny"
    (tmp_path / "quick/tsn/split1/flow").mkdir(parents=True)
    target = tmp_path / "quick/tsn/split1/flow/scores.h5"
    (tiny / "tsn/split1/flow/scores.h5").replace(target)
    write_experiment("tsn", "flow", [False, False, False, True], margin=0.1)
    for dataset, seconds in (("tiny", 1.2), ("quick", 0.6)):
        benchmarks = tmp_path / dataset / "benchmarks" / "compute_flow"
        benchmarks.mkdir(parents=True)
        for shard in tiny_set.shards["flow"]:
            seconds_each = seconds / len(tiny_set.shards["flow"])
            (benchmarks / f"{Path(shard).stem}.tsv").write_text(f"s\tm\n{seconds_each}\t0\n")
    shards = dict.fromkeys(("tiny", "quick"), tiny_set.shards["flow"])
    table = fill_flow_table(found, tiny_set.index, shards, str(tmp_path))
    assert [(row["alone"], row["fused"]) for row in table["rows"]] == [(0.25, 0.5), (1.0, 1.0)]
    assert table["rows"][0]["ms"] == pytest.approx(2 * table["rows"][1]["ms"])
    assert table["rows"][0]["ms"] == pytest.approx(1200 / table["rows"][0]["pairs"])
    text = flow_table_markdown(table)
    assert "| dis | quick | 100.0 | 100.0 |" in text
