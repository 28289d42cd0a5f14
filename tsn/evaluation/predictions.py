"""Per-class accuracy, confusion matrix and per-video predictions of a split."""

from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tsn.datasets.index import class_names, members, multi_label
from tsn.datasets.labels import labels_of
from tsn.datasets.records import Video
from tsn.evaluation.fusion import align, fuse, mean_of_several, to_probabilities
from tsn.evaluation.scores import Scores
from tsn.models.modality import FUSED
from tsn.runtime.files import write_json, write_tsv

NO_PREDICTION = -1
"""The label of a video without scores: it is quarantined in one of the streams."""

MOST_CONFUSED = 20
"""Pairs of classes that fusion.json lists; confusion.json has all."""


@dataclass(frozen=True)
class SplitPredictions:
    """Labels and predictions of the test videos of one split.

    Attributes:
        split: its number.
        classes: C names in label order.
        ids: of the V test videos, quarantined ones included, in the order of the index.
        labels: int64 (V,), the true classes; bool (V, C) where videos may have several.
        predicted: int64 (V,) by modality, and by `FUSED`: labels, or `NO_PREDICTION`.
        fused: float64 (V, C), see `tsn.evaluation.fusion.mean_of_several`; NaN for no prediction.
        fuse: what was fused, "logits" or "probabilities".
        loss: of the networks, see `tsn.evaluation.fusion.probabilities`.
    """

    split: int
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: np.ndarray
    predicted: dict[str, np.ndarray]
    fused: np.ndarray
    fuse: str
    loss: str

    @property
    def correct(self) -> dict[str, np.ndarray]:
        """Bool (V,) by modality and by `FUSED`: whether the prediction is the, or a, label."""
        return {name: self._correct(predicted) for name, predicted in self.predicted.items()}

    def _correct(self, predicted: np.ndarray) -> np.ndarray:
        if self.labels.ndim == 1:
            return predicted == self.labels
        return self.labels[np.arange(len(predicted)), predicted] & (predicted != NO_PREDICTION)

    def confidence(self, temperature: float = 1.0) -> np.ndarray:
        """Float64 (V,): the fusion's probability of its prediction; NaN for none."""
        return to_probabilities(self.fused, self.fuse, self.loss, temperature).max(1)

    def labels_at(self, place: int) -> list[int]:
        """The labels of a video by its place in `ids`."""
        labels = self.labels[place]
        return [int(labels)] if self.labels.ndim == 1 else np.flatnonzero(labels).tolist()


def predict_split(
    scores: list[Scores], weights: dict[str, float], index: list[Video], of: str = "logits"
) -> SplitPredictions:
    """Predict the class with the highest score, the first of several.

    Args:
        scores: of all modalities on one split.
        weights: of the fusion, by modality.
        index: the data set.
        of: what is fused, see `tsn.evaluation.fusion.combine`.

    Raises:
        UserError: if the scores do not match each other or the index.
    """
    videos = members(index, scores[0].split, "test")
    values = {entry.modality: align(entry, videos) for entry in scores}
    values[FUSED] = fuse(scores, weights, videos, of)
    classes = tuple(class_names(index))
    return SplitPredictions(
        scores[0].split,
        classes,
        tuple(video.id for video in videos),
        labels_of(videos, len(classes), multi_label(index)),
        {name: _argmax(table) for name, table in values.items()},
        mean_of_several(values[FUSED], weights, scores[0].loss),
        of,
        scores[0].loss,
    )


def _argmax(scores: np.ndarray) -> np.ndarray:
    """Label of the highest score of every video, (V, C) -> (V,); `NO_PREDICTION` for NaN."""
    return np.where(np.isnan(scores).any(1), NO_PREDICTION, np.nan_to_num(scores).argmax(1))


def confusion_matrix(splits: list[SplitPredictions], scores: str = FUSED) -> np.ndarray:
    """Count the test videos of all splits by label and prediction.

    Args:
        splits: predictions over the same classes.
        scores: a modality, or `FUSED`.

    Returns:
        int64 (C, C + 1): rows are labels, columns predictions; the last column counts videos
        without a prediction. Of several labels, the predicted one counts if it is there, and
        otherwise each does.
    """
    size = len(splits[0].classes)
    counts = np.zeros((size, size + 1), np.int64)
    for split in splits:
        correct = split.correct[scores]
        for place, predicted in enumerate(split.predicted[scores]):
            # NO_PREDICTION is -1: the last column.
            counts[predicted if correct[place] else split.labels_at(place), predicted] += 1
    return counts


@dataclass(frozen=True)
class Confusion:
    """`count` of `videos` test videos of the class `label` were classified as `predicted`."""

    label: str
    predicted: str
    count: int
    videos: int


def most_confused(counts: np.ndarray, classes: tuple[str, ...], most: int = 10) -> list[Confusion]:
    """The most frequent confusions; equally frequent ones by name.

    Args:
        counts: from `confusion_matrix`.
        classes: C names.
        most: how many to return.
    """
    wrong = counts[:, :-1].copy()
    np.fill_diagonal(wrong, 0)
    found = [
        Confusion(
            classes[label], classes[other], int(wrong[label, other]), int(counts[label].sum())
        )
        for label, other in np.argwhere(wrong)
    ]
    return sorted(found, key=lambda c: (-c.count, c.label, c.predicted))[:most]


def effect_of_fusion(splits: list[SplitPredictions]) -> dict[str, Counter[str]]:
    """Compare the fusion with each modality.

    Returns:
        By modality: "gained", videos that only the fusion classifies correctly, and "lost", videos
        that only the modality does; counts over all splits.
    """
    total: dict[str, Counter[str]] = {}
    for split in splits:
        correct = split.correct
        fused = correct.pop(FUSED)
        for name, single in correct.items():
            entry = total.setdefault(name, Counter())
            entry["gained"] += int((fused & ~single).sum())
            entry["lost"] += int((single & ~fused).sum())
    return total


@dataclass(frozen=True)
class Complementarity:
    """Ids of the videos on which the modalities and the fusion differ in correctness.

    Attributes:
        only: by modality, videos that no other modality classifies correctly.
        only_and_fusion: by modality, those of `only` that the fusion classifies correctly, too.
        only_fusion: videos that the fusion classifies correctly and no modality does.
        lost_by_fusion: videos that the fusion gets wrong although a modality is correct.
    """

    only: dict[str, list[str]]
    only_and_fusion: dict[str, list[str]]
    only_fusion: list[str]
    lost_by_fusion: list[str]


def complementarity(split: SplitPredictions) -> Complementarity:
    """Compare the modalities with one another and with the fusion, video by video."""
    correct = split.correct
    fused = correct.pop(FUSED)
    count = np.sum(list(correct.values()), axis=0)
    ids = np.array(split.ids, dtype=object)

    def named(chosen: np.ndarray) -> list[str]:
        return ids[chosen].tolist()

    only = {name: mask & (count == 1) for name, mask in correct.items()}
    return Complementarity(
        {name: named(mask) for name, mask in only.items()},
        {name: named(mask & fused) for name, mask in only.items()},
        named(fused & (count == 0)),
        named(~fused & (count > 0)),
    )


def describe(split: SplitPredictions) -> dict:
    """The part of a split's fusion.json that names videos and classes.

    Returns:
        "complementarity": see `Complementarity`; "confused": the most frequent confusions of the
        fusion, each with "label", "predicted", "count" and "videos" (of the class).
    """
    confused = most_confused(confusion_matrix([split]), split.classes, MOST_CONFUSED)
    return {
        "complementarity": asdict(complementarity(split)),
        "confused": [asdict(entry) for entry in confused],
    }


def write_confusion(path: Path | str, split: SplitPredictions) -> None:
    """Write confusion matrices as JSON.

    {"classes": names, "matrices": {modality or "fused": C rows (labels) of C + 1 counts of videos
    (predictions; the last one: no prediction)}}.
    """
    matrices = {name: confusion_matrix([split], name).tolist() for name in split.predicted}
    write_json(path, {"classes": list(split.classes), "matrices": matrices})


def write_per_class(path: Path | str, result: dict) -> None:
    """Write a table: class, number of test videos, and by modality and fused its accuracy (0…1).

    Where videos have several labels it is the average precision. `result` is of `fuse_split`.
    """
    measured = {name: entry["per_class"] for name, entry in result["modalities"].items()}
    measured[FUSED] = result["fused"]["per_class"]
    rows = (
        (name, result["class_videos"][name]["test"], *(f"{m[name]:.4f}" for m in measured.values()))
        for name in measured[FUSED]
    )
    write_tsv(path, ("class", "videos", *measured), rows)


def write_videos(path: Path | str, split: SplitPredictions) -> None:
    """Write a table of all test videos: id, class, predictions (empty: none), only_correct.

    "only_correct" is the modality that alone is correct, or "fused" where no modality is.
    """
    found = complementarity(split)
    only_correct = {video: name for name, videos in found.only.items() for video in videos}
    only_correct |= dict.fromkeys(found.only_fusion, FUSED)

    def class_of(label: int) -> str:
        return "" if label == NO_PREDICTION else split.classes[label]

    rows = (
        (
            video,
            "|".join(map(class_of, split.labels_at(n))),
            *(class_of(labels[n]) for labels in split.predicted.values()),
            only_correct.get(video, ""),
        )
        for n, video in enumerate(split.ids)
    )
    write_tsv(path, ("id", "class", *split.predicted, "only_correct"), rows)
