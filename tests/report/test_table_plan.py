"""Which score files fill which cell of a table."""

import pytest

from tsn.config.experiments import Configuration
from tsn.report.published import PUBLISHED
from tsn.report.table_plan import plan_table, score_files, table_inputs
from tsn.runtime.errors import UserError


@pytest.fixture
def plan(config):
    """A function: the plan of a table, by default for ucf101."""

    def make(name: str, dataset: str = "ucf101") -> dict:
        return plan_table(Configuration(config), name, dataset)

    return make


def cells(plan: dict, row: str) -> list[dict]:
    return next(entry["cells"] for entry in plan["rows"] if entry["name"] == row)


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_row_is_in_the_configuration_or_left_to_the_paper(config, plan, name):
    """The names must agree, or a row would be there twice."""
    published = [row.name for row in PUBLISHED[name].rows]
    assert set(config["tables"][name]) <= set(published)
    assert [row["name"] for row in plan(name)["rows"]] == published


@pytest.mark.parametrize(
    ("name", "row", "figures"),
    [
        # Wang et al. 2016, tables 1 to 6, and the release's README.
        ("training", "two-stream baseline", [72.7, 81.0, 87.0]),
        ("training", "from scratch", [48.7, 81.7, 82.9]),
        ("training", "+ partial BN, dropout", [84.5, 87.2, 92.0]),
        ("inputs", "all four", [91.7]),
        ("backbones", "GoogLeNet", [77.1, 83.9, 89.0]),
        ("consensus", "weighted average", [86.2, 87.7, 92.4]),
        ("components", "+ TSN (K = 3)", [None, None, 93.5]),
        ("segments", "K = 7", [None, None, 94.9]),
        ("release", "RGB + flow", [93.5, 94.3, 94.5, 94.0]),
        ("state-of-the-art", "TSN, three modalities", [94.2]),
    ],
)
def test_published_figures_stand_beside_ucf101_only(plan, name, row, figures):
    assert [cell["published"] for cell in cells(plan(name), row)] == figures
    assert all(cell["published"] is None for cell in cells(plan(name, "demo"), row))


def test_hmdb51_has_figures_of_its_own(plan):
    found = plan("state-of-the-art", "hmdb51")
    assert cells(found, "TSN, two modalities")[0]["published"] == 68.5
    assert found["classes"] == 51


def test_a_study_is_of_the_first_split_and_a_comparison_of_all(plan):
    first, *_ = cells(plan("training"), "from scratch")
    assert [run["split"] for run in first["runs"]] == [1]
    mean = cells(plan("state-of-the-art"), "TSN, two modalities")[0]
    assert [run["split"] for run in mean["runs"]] == [1, 2, 3]
    release = cells(plan("release"), "flow")
    assert [[run["split"] for run in cell["runs"]] for cell in release] == [
        [1],
        [2],
        [3],
        [1, 2, 3],
    ]


def test_a_split_that_the_data_set_does_not_run_is_empty(config, plan):
    config["datasets"]["ucf101"]["splits"] = [2]
    release = cells(plan("release"), "flow")
    assert [len(cell["runs"]) for cell in release] == [0, 1, 0, 1]


def test_a_row_that_nobody_runs_is_empty_and_keeps_its_figures(plan):
    baseline = cells(plan("training"), "two-stream baseline")
    assert all(cell["runs"] == [] for cell in baseline)


def test_a_modality_that_an_experiment_does_not_train_leaves_its_cells_empty(config, plan):
    config["experiments"]["two_stream"]["modalities"] = ["rgb"]
    row = cells(plan("training"), "+ partial BN, dropout")
    assert [bool(cell["runs"]) for cell in row] == [True, False, False]


def test_rows_of_the_inputs_table_are_fused_with_the_papers_weights(plan):
    found = plan("inputs")
    weights = {row["name"]: row["cells"][0]["weights"] for row in found["rows"]}
    assert weights["RGB + flow + warped flow"] == {"rgb": 1, "flow": 1, "warped_flow": 0.5}
    assert weights["flow + warped flow"] == {"flow": 1, "warped_flow": 0.5}
    assert table_inputs(found, "results") == [
        "results/ucf101/inputs/split1/rgb_diff/scores.h5",
        "results/ucf101/two_stream/split1/flow/scores.h5",
        "results/ucf101/two_stream/split1/rgb/scores.h5",
        "results/ucf101/two_stream/split1/warped_flow/scores.h5",
    ]


def test_seeds_repeat_every_cell(config, plan):
    config["table_seeds"] = [1, 2]
    runs = cells(plan("training"), "+ cross-modality")[2]["runs"]
    assert [run["seed"] for run in runs] == [1, 2]
    assert [run["experiments"] for run in runs] == [
        {"rgb": "pretrain_spatial", "flow": "cross_modality"},
        {"rgb": "pretrain_spatial.seed2", "flow": "cross_modality.seed2"},
    ]


def test_a_table_of_ones_own_shows_every_modality_and_the_fusion(config, plan):
    config["tables"]["mine"] = {"one": "tsn", "other": "inputs", "not yet": None}
    found = plan("mine")
    assert found["columns"] == ["RGB", "optical flow", "warped flow", "RGB difference", "fused"]
    assert [len(cell["runs"]) for cell in cells(found, "one")] == [3, 3, 3, 0, 3]
    assert cells(found, "other")[-1]["weights"]["rgb_diff"] == 1
    assert cells(found, "not yet")[0]["runs"] == []


def test_the_fusion_of_an_experiment_holds_in_a_table_of_ones_own(config, plan):
    config["experiments"]["tsn"] = {
        "modalities": ["rgb", "flow"],
        "fusion": {"fuse": "probabilities", "weights": "search"},
        "training": {"validation": 0.2},
    }
    config["tables"]["mine"] = {"ours": "tsn", "other": "two_stream"}
    found = plan("mine")
    assert [row["fuse"] for row in found["rows"]] == ["probabilities", "logits"]
    searched = cells(found, "ours")[-1]
    assert searched["weights"] == "search"
    assert [run["searched_by"] for run in searched["runs"]] == ["tsn"] * 3
    assert "results/ucf101/tsn/split2/weights.json" in table_inputs(found, "results")
    assert not any("two_stream/split1/weights" in path for path in table_inputs(found, "results"))


def test_a_row_that_fuses_experiments_reads_the_scores_of_all_once(config, plan):
    config["table_seeds"] = [1, 2]
    config["experiments"]["both"] = {
        "modalities": ["rgb", "flow"],
        "fusion": {"experiments": ["two_stream", "k5.seed4"]},
    }
    config["tables"]["mine"] = {"ours": "both"}
    first, *others = cells(plan("mine"), "ours")[-1]["runs"]
    assert [run["split"] for run in others] == [2, 3]
    assert score_files(first, "ucf101", "results") == [
        f"results/ucf101/{experiment}/split1/{modality}/scores.h5"
        for modality in ("rgb", "flow")
        for experiment in ("two_stream", "k5.seed4")
    ]


def test_a_row_of_ones_own_joins_a_published_table(config, plan):
    config["tables"]["backbones"]["mine"] = "tsn"
    row = cells(plan("backbones"), "mine")
    assert [(cell["published"], len(cell["runs"])) for cell in row] == [(None, 1)] * 3


def test_an_unknown_table_and_one_without_experiments_are_told(config, plan):
    with pytest.raises(UserError, match="tables: there is no 'speed' in the configuration"):
        plan("speed")
    config["tables"]["consensus"] = dict.fromkeys(config["tables"]["consensus"])
    with pytest.raises(UserError, match=r"tables\.consensus: no row has an experiment"):
        plan("consensus")
