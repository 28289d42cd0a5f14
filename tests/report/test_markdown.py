"""The table for people, beside the published figures."""

import os

import pytest

from tsn.report.markdown import summary_markdown
from tsn.report.published import published_accuracy


def accuracy(top1: float, **more) -> dict:
    return {"top1": top1, "top5": 0.9, "mean_class": 0.25, **more}


def summary(splits=(1,), layout="ucf101", quarantined=(), weights=None) -> dict:
    weights = weights or {"rgb": 1.0, "flow": 1.5}
    result = {
        "modalities": {"rgb": accuracy(0.5), "flow": accuracy(0.625)},
        "fused": accuracy(0.75, weights=weights),
        "compare": {"rgb alone": accuracy(0.5, weights={"rgb": 1})},
    }
    return {
        "dataset": "mini",
        "experiment": "tsn",
        "layout": layout,
        "splits": [{**result, "split": n, "train_videos": 72, "test_videos": 36} for n in splits],
        "mean": result,
        "quarantined": list(quarantined),
        "wall_time": {"train_model": {"seconds": 3725.0, "jobs": 3}},
        "flow_fingerprint": {"flow": {"algorithm": "tvl1", "backend": "native"}},
        "seed": 1,
        "config_hash": "abc",
        "code_version": "0.1",
    }


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_modality_comparison_and_the_fusion_have_a_row_in_percent():
    table = rows(summary_markdown(summary()))
    assert ["RGB", "50.0 %", "90.0 %", "25.0 %", "85.5 %"] in table
    assert ["optical flow", "62.5 %", "90.0 %", "25.0 %", "87.6 %"] in table
    assert ["rgb alone (1 RGB)", "50.0 %", "90.0 %", "25.0 %", "85.5 %"] in table
    name = "**fused** (1 RGB + 1.5 optical flow)"
    assert [name, "75.0 %", "90.0 %", "25.0 %", "93.5 %"] in table
    assert ["train_model", "3", "1:02:05"] in table


def test_average_precision_stands_first_where_videos_have_several_classes():
    found = summary()
    result = {"map": 0.5, "top1": 0.75, "top5": 1.0, "f1": 0.25}
    for entry in (found["splits"][0], found["mean"]):
        entry["modalities"] = {"rgb": result}
        entry["fused"], entry["compare"] = {**result, "weights": {"rgb": 1}}, {}
    table = rows(summary_markdown(found))
    assert table[0][:5] == ["scores", "mAP", "top-1", "top-5", "macro-F1"]
    assert table[2][:5] == ["RGB", "50.0 %", "75.0 %", "100.0 %", "25.0 %"]


def test_published_figures_say_how_many_classes_they_are_for():
    assert "| published (101 classes) |" in summary_markdown(summary())
    assert "| published |" in summary_markdown(summary(layout="folder"))


def test_counts_and_origin_are_told():
    text = summary_markdown(summary())
    assert "## Split 1: 72 training, 36 test videos" in text
    assert "Seed 1, config abc, code 0.1, flow by native." in text


def test_the_mean_is_shown_for_several_splits_only():
    assert "Mean of the splits" not in summary_markdown(summary())
    text = summary_markdown(summary(splits=(1, 2, 3)))
    assert "94.0 %" in text.split("Mean of the splits")[1]  # authors' two modalities, 3 splits


def test_other_data_sets_have_no_published_figure():
    assert all(row[-1] == "" for row in rows(summary_markdown(summary(layout="folder")))[2:6])


@pytest.mark.parametrize(
    ("layout", "split", "scores", "figure"),
    [
        # The authors' release, and tables 1, 5 and 6 of Wang et al. 2016.
        ("ucf101", 1, "rgb", 85.5), ("ucf101", 2, "rgb", 84.9), ("ucf101", 3, "rgb", 84.5),
        ("ucf101", 1, "flow", 87.6), ("ucf101", 2, "flow", 90.2), ("ucf101", 3, "flow", 91.3),
        ("ucf101", 1, "flow+rgb", 93.5), ("ucf101", 2, "flow+rgb", 94.3),
        ("ucf101", 3, "flow+rgb", 94.5), ("ucf101", 1, "warped_flow", 86.9),
        ("ucf101", 1, "rgb_diff", 83.8), ("ucf101", "mean", "flow+rgb", 94.0),
        ("ucf101", "mean", "flow+rgb+warped_flow", 94.2),
        ("ucf101", 1, "flow+rgb+warped_flow", 92.3), ("hmdb51", "mean", "flow+rgb", 68.5),
        ("hmdb51", "mean", "flow+rgb+warped_flow", 69.4), ("hmdb51", 1, "rgb", None),
        ("demo", 1, "rgb", None), ("ucf101", 1, None, None),
    ],
)  # fmt: skip
def test_published_figures(layout, split, scores, figure):
    assert published_accuracy(layout, split, scores) == figure


def test_a_weight_of_zero_is_no_part_of_the_fusion():
    text = summary_markdown(summary(weights={"rgb": 1.0, "flow": 0.0}))
    assert ["**fused** (1 RGB)", "75.0 %", "90.0 %", "25.0 %", "85.5 %"] in rows(text)


def test_names_cannot_break_the_table():
    name = os.fsdecode(b"a|b\nc\rd \xff")
    entry = {"id": name, "stream": "rgb", "status": "empty", "message": "x | y"}
    text = summary_markdown(summary(quarantined=[entry]))
    text.encode()
    assert r"| a\|b c d ? | empty | x \| y |" in text.splitlines()
    assert "## 1 quarantined videos" in text
