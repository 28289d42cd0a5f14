"""The JSON over all splits."""

import json

import numpy as np
import pytest

from tsn.evaluation.scores import Scores, write_scores
from tsn.evaluation.summary import Sources, mean_of, summarise, wall_times
from tsn.shards.quarantine import Quarantined, write_quarantine


def split(number: int, top1: float) -> dict:
    accuracy = {"videos": 2, "top1": top1, "top5": 1.0, "mean_class": top1 / 2, "per_class": {}}
    weights = {"rgb": 1.0, "flow": 1.5}
    return {
        "split": number,
        "train_videos": 4,
        "test_videos": 2,
        "modalities": {"rgb": accuracy, "flow": {**accuracy, "top1": 0.0}},
        "fused": {"weights": weights, **accuracy},
        "compare": {"rgb alone": {"weights": {"rgb": 1}, **accuracy}},
        "not_scored": [],
    }


def benchmark(folder, stage: str, name: str, seconds: float) -> None:
    (folder / stage).mkdir(parents=True, exist_ok=True)
    (folder / stage / f"{name}.tsv").write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t-\n")


@pytest.fixture
def sources(tmp_path) -> Sources:
    files = []
    for number, top1 in ((1, 0.5), (2, 1.0)):
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(split(number, top1)))
    scores = []
    for modality, shards in (("rgb", {"jpeg_quality": 95}), ("flow", {"backend": "native"})):
        scores.append(tmp_path / f"{modality}.h5")
        entry = Scores(
            "d", "e", 1, modality, ("a",), np.zeros(1, np.int64), np.zeros((1, 2), np.float32),
            ("x", "y"), f"sha of {modality}", shards, {},
        )  # fmt: skip
        write_scores(scores[-1], entry)
    write_quarantine(tmp_path / "q.tsv", [Quarantined("a/b", "rgb,flow", "empty", "no bytes")])
    benchmark(tmp_path / "benchmarks", "train_model", "e.split1.rgb", 2)
    return Sources(
        "d",
        "e",
        "ucf101",
        {"seed": 3, "training": {"lr": 0.1}},
        [str(file) for file in files],
        [str(file) for file in scores],
        str(tmp_path / "q.tsv"),
        str(tmp_path / "benchmarks"),
        {},
    )


def test_the_mean_counts_every_split_alike():
    mean = mean_of([split(1, 0.5), split(2, 1.0)])
    assert mean["modalities"]["rgb"] == {"top1": 0.75, "top5": 1.0, "mean_class": 0.375}
    assert mean["modalities"]["flow"]["top1"] == 0
    assert mean["fused"]["top1"] == 0.75 and mean["fused"]["weights"] == {"rgb": 1.0, "flow": 1.5}
    assert mean["compare"]["rgb alone"]["mean_class"] == 0.375


def test_weights_that_were_searched_are_averaged_over_the_splits():
    splits = [split(1, 0.5), split(2, 0.5)]
    for entry, flow in zip(splits, (0.25, 0.75), strict=True):
        entry["fused"]["weights"] = {"rgb": 1 - flow, "flow": flow}
    assert mean_of(splits)["fused"]["weights"] == {"rgb": 0.5, "flow": 0.5}


def test_the_summary_says_how_its_numbers_came_about(sources):
    found = summarise(sources)
    assert json.loads(json.dumps(found)) == found
    assert [entry["split"] for entry in found["splits"]] == [1, 2]
    assert found["mean"]["fused"]["top1"] == 0.75
    assert found["flow_fingerprint"] == {"flow": {"backend": "native"}}
    assert found["models"] == {"split1/rgb": "sha of rgb", "split1/flow": "sha of flow"}
    assert found["quarantined"][0]["id"] == "a/b" and found["quarantined"][0]["status"] == "empty"
    assert found["seed"] == 3 and found["config"]["training"] == {"lr": 0.1}
    assert found["wall_time"]["train_model"] == {"seconds": 2.0, "jobs": 1}
    assert {"torch", "numpy"} <= set(found["packages"]) and found["code_version"]


def test_the_config_hash_changes_with_the_config(sources):
    from dataclasses import replace

    first = summarise(sources)["config_hash"]
    other = replace(sources, blocks={**sources.blocks, "training": {"lr": 0.2}})
    assert summarise(sources)["config_hash"] == first != summarise(other)["config_hash"]


def test_wall_times_add_up_by_stage_and_modality_for_one_experiment(tmp_path):
    benchmark(tmp_path, "compute_flow", "0001", 10)
    benchmark(tmp_path, "compute_flow", "0002", 5.25)
    benchmark(tmp_path, "check_shards", "rgb", 1)
    benchmark(tmp_path, "train_model", "tsn.split1.rgb", 100)
    benchmark(tmp_path, "train_model", "tsn.split1.warped_flow", 30)
    benchmark(tmp_path, "train_model", "two_stream.split1.rgb", 7)
    benchmark(tmp_path, "fuse_scores", "tsn.split1", 2)
    assert wall_times(tmp_path, "tsn", {}) == {
        "check_shards": {"seconds": 1.0, "jobs": 1},
        "compute_flow": {"seconds": 15.2, "jobs": 2},
        "fuse_scores": {"seconds": 2.0, "jobs": 1},
        "train_model": {"seconds": 130.0, "jobs": 2},
        "train_model/rgb": {"seconds": 100.0, "jobs": 1},
        "train_model/warped_flow": {"seconds": 30.0, "jobs": 1},
    }


def test_wall_times_leave_out_what_other_experiments_and_tables_took(tmp_path):
    for stage in ("summarise_fusion", "draw_results", "write_report"):
        benchmark(tmp_path, stage, "tsn", 10)
        benchmark(tmp_path, stage, "tsn.seed2", 5)
        benchmark(tmp_path, stage, "k5", 7)
    benchmark(tmp_path, "fill_table", "training", 5)
    benchmark(tmp_path, "search_weights", "tsn.split1", 1)
    benchmark(tmp_path, "search_weights", "two.split1.tsn.split1", 2)
    assert wall_times(tmp_path, "tsn", {}) == {
        "draw_results": {"seconds": 10.0, "jobs": 1},
        "search_weights": {"seconds": 1.0, "jobs": 1},
        "summarise_fusion": {"seconds": 10.0, "jobs": 1},
        "write_report": {"seconds": 10.0, "jobs": 1},
    }


def test_without_benchmarks_there_are_no_wall_times(tmp_path):
    assert wall_times(tmp_path / "nothing", "tsn", {}) == {}


def test_wall_times_count_what_another_experiment_did_for_this_one(tmp_path):
    benchmark(tmp_path, "train_model", "two_stream.split1.rgb", 100)
    benchmark(tmp_path, "train_model", "inputs.split1.rgb_diff", 30)
    benchmark(tmp_path, "score_videos", "inputs.split1.rgb", 7)
    found = wall_times(tmp_path, "inputs", {"train_model": {"rgb": ["two_stream"]}})
    assert {stage: entry["seconds"] for stage, entry in found.items()} == {
        "score_videos": 7,
        "score_videos/rgb": 7,
        "train_model": 130,
        "train_model/rgb": 100,
        "train_model/rgb_diff": 30,
    }
