"""Results of a run that never was: index, scores, logs and summary, of any size."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tsn.config.schema import FusionConfig
from tsn.datasets.build_index import write_index
from tsn.datasets.index import class_names, members, read_index
from tsn.datasets.listing import Listing
from tsn.datasets.records import Video
from tsn.evaluation.fusion import fuse_split
from tsn.evaluation.scores import Scores, read_scores, write_scores
from tsn.evaluation.summary import mean_of
from tsn.shards.quarantine import Quarantined, write_quarantine

STRENGTH = {"rgb": 1.1, "flow": 1.4, "warped_flow": 1.3, "rgb_diff": 0.9}
"""How far the true class's score stands out of noise of deviation 1, if there is no overriding."""


@dataclass(frozen=True)
class MadeUp:
    """Files of a run, as the rules hand them to tsn.report.results."""

    summary: Path
    index: Path
    scores: list[str]
    logs: list[str]

    @property
    def result(self) -> dict:
        return json.loads(self.summary.read_text())


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> Callable[..., MadeUp]:
    return lambda **what: make_up(tmp_path_factory.mktemp("run"), **what)


def make_up(
    folder: Path,
    classes: tuple[str, ...] = ("jump", "run"),
    splits: tuple[int, ...] = (1,),
    modalities: tuple[str, ...] = ("rgb", "flow"),
    videos: int = 4,
    lost: tuple[str, ...] = (),
    predicted: dict[str, list[int]] | None = None,
    layout: str = "folder",
    epochs: int = 6,
    compare: dict | None = None,
    fuse: str = "logits",
) -> MadeUp:
    """Write a run.

    Args:
        folder: where to.
        classes: C names, in alphabetical order.
        splits: numbers; each tests `videos` videos of each class, "class/split.number", and
            trains on the others; those of "split" 0 are never tested.
        modalities: of the scores.
        videos: test videos per class and split.
        lost: ids of videos without scores: quarantined.
        predicted: labels that a modality predicts for the videos of a split, in the order of the
            index; without, scores are random.
        layout: of the data set; "ucf101" has published figures.
        epochs: of the training logs.
        compare: further combinations.
        fuse: logits or probabilities.
    """
    listed = tuple(
        Video(
            f"{name}/{split}.{n}",
            f"{name}/{split}.{n}.avi",
            name,
            splits={other: "test" if other == split else "train" for other in splits},
        )
        for name in classes
        for split in (0, *splits)
        for n in range(videos)
    )
    write_index(folder / "index.tsv", Listing(classes, listed), 2, splits)
    index = read_index(folder / "index.tsv")
    rng = np.random.default_rng(3)
    scores, logs = [], []
    for split in splits:
        for modality in modalities:
            tested = [v for v in members(index, split, "test") if v.id not in lost]
            labels = np.array([video.label for video in tested])
            values = rng.normal(size=(len(tested), len(classes)))
            chosen = labels if predicted is None else np.array(predicted[modality])
            gain = STRENGTH[modality] * 2 if predicted is None else 100
            values[np.arange(len(tested)), chosen] += gain
            path = folder / f"split{split}/{modality}/scores.h5"
            ids = tuple(video.id for video in tested)
            found = Scores(
                "set",
                "tsn",
                split,
                modality,
                ids,
                labels,
                values.astype(np.float32),
                tuple(class_names(index)),
                "model",
                {"algorithm": "tvl1", "backend": "native"},
                {"segments": 3},
            )
            write_scores(path, found)
            scores.append(str(path))
            logs.append(str(path.with_name("training.csv")))
            training_log(epochs, rng).to_csv(logs[-1], index=False)
    path = folder / "fusion.json"
    summary = summary_of(index, scores, splits, layout, compare or {}, fuse, lost, folder)
    path.write_text(json.dumps(summary))
    return MadeUp(path, folder / "index.tsv", scores, logs)


def training_log(epochs: int, rng: np.random.Generator) -> pd.DataFrame:
    epoch = np.arange(epochs)
    return pd.DataFrame(
        {
            "epoch": epoch,
            "iteration": 10 * (epoch + 1),
            "lr": np.where(epoch < epochs * 2 // 3, 0.01, 0.001),
            "loss": 4 * np.exp(-epoch / 5) + 0.2 * rng.random(epochs),
            "accuracy": np.clip(1 - np.exp(-epoch / 8) + 0.05 * rng.random(epochs), 0, 1),
            "gradient_norm": 1.0,
            "seconds": 2.0,
        }
    )


def summary_of(index, scores, splits, layout, compare, fuse, lost, folder) -> dict:
    read = [read_scores(path) for path in scores]
    fusion = FusionConfig({entry.modality: 1.0 for entry in read}, compare, fuse)
    fused = [fuse_split([s for s in read if s.split == n], fusion, index, n, "tsn") for n in splits]
    bad = [Quarantined(name, "rgb,flow", "truncated", f"{name}: ends early") for name in lost]
    write_quarantine(folder / "quarantine.tsv", bad)
    seconds = {"decode_frames": 4321.0, "compute_flow": 54321.0, "train_model": 7000.0}
    times = {stage: {"seconds": value, "jobs": 3} for stage, value in seconds.items()}
    for modality in fusion.weights:
        times[f"train_model/{modality}"] = {"seconds": 3500.0, "jobs": len(splits)}
    return {
        "dataset": "set",
        "layout": layout,
        "experiment": "tsn",
        "mean": mean_of(fused),
        "splits": fused,
        "quarantined": [vars(entry) for entry in bad],
        "flow_fingerprint": {"flow": {"algorithm": "tvl1", "backend": "native"}},
        "seed": 1,
        "config": {"model": {"backbone": "resnet18"}, "fusion": {"fuse": fuse}},
        "config_hash": "0123456789abcdef",
        "code_version": "0.1.0",
        "packages": {"python": "3.12.1", "torch": "2.11.0"},
        "wall_time": times,
    }


@pytest.fixture
def write_experiment(tmp_path, tiny_set) -> Callable[..., None]:
    """A function that writes the scores of one experiment and modality below tmp_path.

    `right`: for each of the four test videos in turn, whether it is classified rightly.
    """

    def scores(experiment: str, modality: str, right: list[bool], margin=1.0, **more) -> None:
        videos = members(read_index(tiny_set.index), 1, "test")
        labels = np.array([video.label for video in videos])
        values = np.zeros((len(videos), 2), np.float32)
        for row, (label, good) in enumerate(zip(labels, right, strict=True)):
            values[row, label if good else 1 - label] = margin
        known = {
            "dataset": "tiny",
            "experiment": experiment,
            "split": 1,
            "modality": modality,
            "ids": tuple(video.id for video in videos),
            "labels": labels,
            "values": values,
            "classes": ("red", "blue"),
            "model": "m",
            "shards": {},
            "protocol": {},
        }
        folder = Path(tmp_path, "tiny", experiment, "split1", modality)
        write_scores(folder / "scores.h5", Scores(**{**known, **more}))

    return scores
