"""Choosing fusion weights on training videos that were held out; test videos are refused."""

import itertools
from dataclasses import replace

import numpy as np

from tsn.config.experiments import paper_weights
from tsn.datasets.index import class_names, members, multi_label
from tsn.datasets.labels import labels_of
from tsn.datasets.records import Video
from tsn.evaluation.fusion import align, check_index, check_match, combine
from tsn.evaluation.metrics import metrics
from tsn.evaluation.scores import Scores
from tsn.runtime.errors import UserError

STEPS = 10
"""Weights are tenths that add up to one: a few hundred held-out videos resolve no finer steps."""


def search_weights(scores: list[Scores], index: list[Video], split: int, of: str) -> dict:
    """Choose the weights with the best top-1 accuracy, or mAP, on held-out training videos.

    Ties go to the weights closest to the paper's.

    Args:
        scores: of held-out videos, one per modality.
        index: the data set.
        split: whose training videos they are of.
        of: what is fused, see `tsn.evaluation.fusion.combine`.

    Returns:
        "weights" by modality (they add up to 1), "top1" (0…1) with them and "paper_top1" with the
        paper's ("map", "paper_map" for several labels), "videos" (how many), "tried" (how many
        combinations), "fuse".

    Raises:
        UserError: a scored video is not a training video of the split, or the scores do not match.
    """
    values, labels = held_out_scores(scores, index, split, "fusion.weights")
    classes = tuple(class_names(index))
    measure = "map" if labels.ndim == 2 else "top1"
    paper = _normalised(paper_weights(list(values)))

    def measured(weights: dict[str, float]) -> float:
        fused = combine(values, weights, of, scores[0].loss)
        return float(metrics(fused, labels, classes)[measure])

    tried = [dict(zip(values, parts, strict=True)) for parts in _grid(len(values))]
    distance = [sum(abs(weights[name] - paper[name]) for name in values) for weights in tried]
    ranked = sorted(zip(map(measured, tried), distance, tried, strict=True), key=_rank)
    accuracy, _, weights = ranked[0]
    return {
        "weights": weights,
        measure: accuracy,
        f"paper_{measure}": measured(paper),
        "videos": len(labels),
        "tried": len(tried),
        "fuse": of,
    }


def held_out_scores(
    scores: list[Scores], index: list[Video], split: int, key: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores of the training videos that all modalities have, and nothing but training videos.

    Args:
        scores: of held-out videos, one per modality.
        index: the data set.
        split: whose training videos they are of.
        key: of the configuration that they are for.

    Returns:
        By modality float64 (V, C); labels, see `tsn.datasets.labels.labels_of`.

    Raises:
        UserError: a scored video is not a training video of the split, or the scores do not match.
    """
    check_match(scores)
    training = {video.id: video for video in members(index, split, "train")}
    for entry in scores:
        check_index(entry, index, split)
        stranger = next((name for name in entry.ids if name not in training), None)
        if stranger is not None:
            raise UserError(
                f"{key}: the {entry.modality} scores hold {stranger!r}, which is no training "
                f"video of split {split}; only held-out training videos may be used"
            )
    common = set.intersection(*(set(entry.ids) for entry in scores))
    videos = [video for name, video in training.items() if name in common]
    if not videos:
        raise UserError(
            f"{key}: no held-out video has scores of all modalities; raise training.validation, "
            "or do without"
        )
    labels = labels_of(videos, len(class_names(index)), multi_label(index))
    return {entry.modality: _rows(entry, videos) for entry in scores}, labels


def _rank(entry: tuple[float, float, dict]) -> tuple:
    accuracy, distance, weights = entry
    return -accuracy, round(distance, 9), tuple(weights.values())


def _rows(scores: Scores, videos: list[Video]) -> np.ndarray:
    """The scores of the videos in their order, float64 (V, C)."""
    known = {video.id for video in videos}
    keep = [n for n, name in enumerate(scores.ids) if name in known]
    chosen = replace(
        scores,
        ids=tuple(scores.ids[n] for n in keep),
        labels=scores.labels[keep],
        values=scores.values[keep],
        snippets=None,
        counts=None,
    )
    return align(chosen, videos)


def _grid(modalities: int) -> list[tuple[float, ...]]:
    """All weights in steps of a tenth that add up to one."""
    parts = itertools.product(range(STEPS + 1), repeat=modalities)
    return [tuple(n / STEPS for n in part) for part in parts if sum(part) == STEPS]


def _normalised(weights: dict[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
