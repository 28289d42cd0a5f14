"""Score files of a tiny data set, and the plan of a table over them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tsn.data.index import members, read_index
from tsn.evaluation.scores import Scores, write_scores


@pytest.fixture
def write(tmp_path, tiny_set) -> Callable[..., None]:
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
