"""From videos to results/fusion_{dataset}.json, with broken files among the good ones."""

import csv
import hashlib
import json
from pathlib import Path

import pytest

from tests.workflow.pipeline import BROKEN, CLASSES, GOOD_PER_CLASS
from tsn.shards.format import Shard

pytestmark = pytest.mark.slow


def summary(pipeline) -> dict:
    return json.loads((pipeline.folder / "results/fusion_tiny.json").read_text())


def test_every_modality_and_the_fusion_are_reported(finished):
    result = summary(finished)
    split = result["splits"][0]
    assert list(split["modalities"]) == ["rgb", "flow", "warped_flow"]
    for entry in [split["fused"], *split["modalities"].values()]:
        assert 0 <= entry["mean_class"] <= 1
        assert entry["top5"] == entry["videos"] / entry["videos"] - share_lost(split)
        assert set(entry["per_class"]) == set(CLASSES)
    assert split["fused"]["weights"] == {"rgb": 1.0, "flow": 1.0, "warped_flow": 0.5}
    assert result["mean"]["fused"]["top1"] == split["fused"]["top1"]


def share_lost(split: dict) -> float:
    """Two classes: top-5 is right for every video but the quarantined ones."""
    return len(split["not_scored"]) / split["test_videos"]


def test_the_summary_says_how_it_came_about(finished):
    result = summary(finished)
    assert result["experiment"] == "tsn"
    assert result["seed"] == 1
    assert result["config"]["model"]["backbone"] == "bn_inception"
    assert len(result["config_hash"]) == 16
    assert result["code_version"].startswith("0.")
    assert result["packages"]["torch"] != "not installed"
    assert result["flow_fingerprint"]["flow"]["algorithm"] == "tvl1"
    assert {"decode_frames", "compute_flow", "train_model/rgb"} <= set(result["wall_time"])


def test_broken_videos_are_named_with_a_reason_and_the_good_ones_used(finished):
    result = summary(finished)
    assert {entry["id"]: entry["status"] for entry in result["quarantined"]} == BROKEN
    with (finished.folder / "results/tiny/quarantine.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, dialect="excel-tab"))
    assert {row["id"]: row["status"] for row in rows} == BROKEN
    assert all(Path(row["id"]).name in row["message"] for row in rows)
    usable = 0
    for path in (finished.folder / "results/tiny/shards/flow").glob("*.h5"):
        with Shard(path) as shard:
            usable += sum(video.ok for video in shard.videos.values())
    assert usable == GOOD_PER_CLASS * len(CLASSES)


def test_a_quarantined_test_video_counts_as_wrong(finished):
    split = summary(finished)["splits"][0]
    lost = set(split["not_scored"])
    assert lost and lost <= set(BROKEN)
    assert split["modalities"]["rgb"]["videos"] == split["test_videos"]


def test_the_table_shows_the_fused_accuracy(finished):
    text = (finished.folder / "results/fusion_tiny.md").read_text()
    fused = summary(finished)["splits"][0]["fused"]["top1"]
    assert f"| **fused** (1 RGB + 1 optical flow + 0.5 warped flow) | {100 * fused:.1f} % |" in text


def test_what_lies_behind_the_accuracies_stands_beside_them(finished):
    split = summary(finished)["splits"][0]
    folder = finished.folder / "results/tiny/tsn/split1"
    confusion = json.loads((folder / "confusion.json").read_text())["matrices"]["fused"]
    assert sum(map(sum, confusion)) == split["test_videos"]
    assert sum(row[-1] for row in confusion) == len(split["not_scored"])
    with (folder / "videos.tsv").open(newline="") as file:
        videos = list(csv.DictReader(file, dialect="excel-tab"))
    right = sum(video["fused"] == video["class"] for video in videos)
    assert right / len(videos) == split["fused"]["top1"]
    alone = {v for ids in split["complementarity"]["only"].values() for v in ids}
    assert {v["id"] for v in videos if v["only_correct"] not in ("", "fused")} == alone
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_too_many_broken_videos_stop_the_run_before_training(fresh):
    strict = fresh.changed("data", max_quarantined=3)
    done = strict.snakemake("results/tiny/shards/rgb.quarantine.tsv")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert "4 videos are quarantined in the rgb stream, data.max_quarantined allows 3" in output
    assert all(name in output for name in BROKEN)
    assert "Traceback" not in output


def test_shards_do_not_depend_on_cores_or_run(finished, fresh):
    files = sorted((finished.folder / "results/tiny/shards").glob("*/0001.h5"))
    assert len(files) == 3
    names = [str(path.relative_to(finished.folder)) for path in files]
    fresh.run(*names, cores=1)
    for name in names:
        first, second = (hashlib.sha256((p.folder / name).read_bytes()) for p in (finished, fresh))
        assert first.hexdigest() == second.hexdigest(), name
