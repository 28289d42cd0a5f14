"""Targets results/tables/{table}_{dataset}.md: what they run, and that they say what went wrong."""

import json
import re

import pytest

from tests.workflow.pipeline import Pipeline
from tsn.config.experiments import Configuration

pytestmark = pytest.mark.slow

NEEDED = {
    "training": ("from_scratch", "pretrain_spatial", "cross_modality", "two_stream"),
    "inputs": ("inputs",),
    "components": ("pretrain_spatial", "cross_modality", "two_stream", "tsn"),
    "consensus": ("consensus_max", "tsn", "consensus_weighted"),
}
MODALITIES = {"inputs": ("rgb", "rgb_diff", "flow", "warped_flow")}


def trained(output: str) -> list[str]:
    """The model files that a dry run's jobs would write."""
    return re.findall(r"^rule train_model:.*?output: (\S+/model\.pt)", output, re.M | re.S)


def distinct(pipeline: Pipeline, config: dict, tables) -> set[tuple]:
    """What is to be trained: everything that a network is made from."""
    found = set()
    for table in tables:
        for experiment in NEEDED[table]:
            settings = Configuration(config).settings("tiny", experiment)
            for modality in MODALITIES.get(table, ("rgb", "flow")):
                found.add((modality, settings.model(modality), settings.training(modality)))
    return found


@pytest.mark.parametrize("tables", [("training",), ("inputs", "components", "consensus")])
def test_each_distinct_model_is_trained_once(fresh, config, tables):
    output = fresh.run("--dry-run", *(f"results/tables/{table}_tiny.md" for table in tables))
    for block in ("modalities", "datasets", "model", "training", "frames", "test"):
        value = fresh.config[block]
        config[block] = {**config[block], **value} if isinstance(value, dict) else value
    models = trained(output)
    assert len(models) == len(set(models)) == len(distinct(fresh, config, tables)) > 0


def test_a_table_over_finished_experiments_trains_nothing(finished):
    other = finished.changed("tables", mine={"ours": "tsn", "later": None})
    output = other.run("results/tables/mine_tiny.json")
    assert trained(output) == [] and "rule score_videos" not in output
    table = json.loads((finished.folder / "results/tables/mine_tiny.json").read_text())
    fusion = json.loads((finished.folder / "results/fusion_tiny.json").read_text())
    cells = {row["name"]: row["cells"] for row in table["rows"]}
    ours, later = cells["ours"], cells["later"]
    expected = [*fusion["mean"]["modalities"].values(), fusion["mean"]["fused"]]
    assert [cell["ours"]["top1"] for cell in ours] == [entry["top1"] for entry in expected]
    assert all(cell["ours"] is None for cell in later)
    text = (finished.folder / "results/tables/mine_tiny.md").read_text()
    assert f"| ours | tsn | {100 * expected[0]['top1']:.1f} |" in text


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("results/tables/speed_tiny.md", "tables: there is no 'speed' in the configuration"),
        (
            "results/tables/backbones_tiny.md",
            "experiment clarifai: model.weights: there is no file",
        ),
        (
            "results/tiny/cross_modality/split1/rgb/model.pt",
            "cross_modality has its rgb network in common with ",
        ),
    ],
)
def test_a_mistake_is_one_sentence(fresh, target, sentence):
    done = fresh.snakemake("--dry-run", target)
    assert done.returncode == 1
    assert f"error: {sentence}" in done.stderr and "Traceback" not in done.stderr


def test_a_fusion_of_experiments_scores_their_held_out_videos_and_trains_nothing_of_its_own(fresh):
    """Seeds 2 and 3 of three modalities, for searched weights and a temperature."""
    fusion = {
        "experiments": ["tsn.seed2", "tsn.seed3"],
        "weights": "search",
        "calibrate": "temperature",
    }
    other = fresh.changed("experiments", both={"fusion": fusion}).changed(
        "training", validation=0.25
    )
    jobs = other.would_run("results/tiny/both/report/report.html")
    assert [jobs[name] for name in ("train_model", "score_videos", "score_held_out")] == [6, 6, 6]
    assert (jobs["search_weights"], jobs["fuse_scores"]) == (1, 1)
