"""Late fusion: the weighted sum of the modalities' scores, joined by video id."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tsn.config.schema import FusionConfig
from tsn.datasets.index import class_names, class_videos, members, multi_label
from tsn.datasets.labels import labels_of
from tsn.datasets.records import Video
from tsn.evaluation.metrics import metrics
from tsn.evaluation.scores import Scores
from tsn.runtime.errors import UserError

SHARED = ("dataset", "split", "classes", "protocol", "loss")
"""What scores must agree on. The experiment is not: those that train the same model share it."""


def fuse(
    scores: list[Scores], weights: dict[str, float], videos: list[Video], of: str = "logits"
) -> np.ndarray:
    """Weighted sum of scores for the given videos.

    Args:
        scores: one per modality.
        weights: by modality; modalities without a weight take no part.
        videos: the rows of the result, in order.
        of: what is summed, see `combine`.

    Returns:
        float64 (V, C); NaN where a modality that takes part has no score for the video.

    Raises:
        UserError: if the scores differ in data set, split, classes or protocol, a weighted modality
            has none, or a score belongs to no video of the index.
    """
    by_modality = {entry.modality: entry for entry in scores}
    check_match(scores)
    for modality in weights:
        if modality not in by_modality:
            raise UserError(
                f"fusion: there are no scores of {modality}; evaluate it or drop its weight"
            )
    taking_part = [modality for modality, weight in weights.items() if weight]
    aligned = {modality: align(by_modality[modality], videos) for modality in taking_part}
    return combine(aligned, weights, of, scores[0].loss)


def combine(
    scores: dict[str, np.ndarray],
    weights: dict[str, float],
    of: str = "logits",
    loss: str = "cross_entropy",
) -> np.ndarray:
    """Weighted sum of the modalities' scores.

    Args:
        scores: by modality, float (..., C), before softmax.
        weights: by modality; zero takes no part.
        of: "logits": scores are summed as they are (Wang et al. 2016); "probabilities": those
            are, which no modality with large scores can dominate.
        loss: of the networks, see `probabilities`.

    Returns:
        float64 (..., C).

    Raises:
        ValueError: `of` is neither, a weight is negative or not finite, or none is above 0.
    """
    if of not in ("logits", "probabilities"):
        raise ValueError(f"of must be logits or probabilities, not {of!r}")
    values = np.array(list(weights.values()), np.float64)
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise ValueError(f"weights must be finite, not negative, and one above 0, not {weights}")
    total = np.zeros(())
    for modality, weight in weights.items():
        if weight:
            values = np.asarray(scores[modality], np.float64)
            values = probabilities(values, loss) if of == "probabilities" else values
            total = total + weight * values
    return total


def probabilities(scores: np.ndarray, loss: str) -> np.ndarray:
    """Probabilities of the classes: softmax along the last axis, or logistic for "bce"."""
    return np.exp(-np.logaddexp(0, -scores)) if loss == "bce" else softmax(scores)


def to_logits(likely: np.ndarray, loss: str) -> np.ndarray:
    """The inverse of `probabilities`; of 0 it is a large negative number."""
    tiny = np.finfo(np.float64).tiny
    found = np.log(np.maximum(likely, tiny))
    return found - np.log(np.maximum(1 - likely, tiny)) if loss == "bce" else found


def mean_of_several(fused: np.ndarray, weights: Mapping[str, float], loss: str) -> np.ndarray:
    """What `combine` gives; of "bce" the weighted mean, whose classes have probabilities."""
    return fused / sum(weights.values()) if loss == "bce" else fused


def to_probabilities(
    fused: np.ndarray, of: str, loss: str = "cross_entropy", temperature: float = 1.0
) -> np.ndarray:
    """Probabilities of the classes from what `mean_of_several` gives, float64 (..., C).

    Args:
        fused: (..., C); rows of NaN stay so.
        of: what was fused.
        loss: of the networks, see `probabilities`.
        temperature: what logits are divided by: above 1, probabilities are softer.
    """
    if of == "logits":
        return probabilities(fused / temperature, loss)
    # The same as of their logarithms, but exact for 1; means over time may be a bit below 0.
    powers = np.maximum(fused, 0) ** (1 / temperature)
    if loss == "bce":
        return powers / (powers + np.maximum(1 - fused, 0) ** (1 / temperature))
    return powers / powers.sum(-1, keepdims=True)


def merge_experiments(scores: list[Scores], of: str = "logits") -> list[Scores]:
    """Scores of several experiments become one per modality and split: their mean, joined by id.

    Args:
        scores: any number per modality; a single one stays as it is.
        of: mean of the "logits", or of the "probabilities", whose logits take their place.

    Raises:
        UserError: those of a modality were not made alike, or have no video in common.
    """
    groups: dict[tuple[int, str], list[Scores]] = {}
    for entry in scores:
        groups.setdefault((entry.split, entry.modality), []).append(entry)
    return [group[0] if len(group) == 1 else _merge(group, of) for group in groups.values()]


def _merge(scores: list[Scores], of: str) -> Scores:
    check_match(scores)
    first = scores[0]
    for other in scores[1:]:
        if other.shards != first.shards:
            raise UserError(
                f"fusion.experiments: {first.experiment} and {other.experiment} were tested on "
                f"different {first.modality} shards; score both again"
            )
    rows = [dict(zip(entry.ids, entry.values, strict=True)) for entry in scores]
    keep = [n for n, name in enumerate(first.ids) if all(name in row for row in rows)]
    ids = tuple(first.ids[n] for n in keep)
    if not ids:
        raise UserError("fusion.experiments: they have no scored video in common")
    values = np.array([[row[name] for name in ids] for row in rows], np.float64)
    if of == "probabilities":
        mean = to_logits(probabilities(values, first.loss).mean(0), first.loss)
    else:
        mean = values.mean(0)
    return replace(
        first,
        experiment="+".join(entry.experiment for entry in scores),
        model="+".join(entry.model for entry in scores),
        ids=ids,
        labels=first.labels[keep],
        values=mean.astype(np.float32),
        snippets=None,
        maxima=None,
        counts=None,
        starts=None,
        times=None,
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of the classes, along the last axis."""
    exponentials = np.exp(scores - scores.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def threshold(weights: dict[str, float], of: str) -> float:
    """The fused score of a class whose probability is one half: see `combine`, "bce"."""
    return sum(weights.values()) / 2 if of == "probabilities" else 0.0


def align(scores: Scores, videos: list[Video]) -> np.ndarray:
    """The rows of the scores in the order of `videos`; NaN for a video without.

    Raises:
        UserError: if a scored video is not among `videos`, or has another label there.
    """
    row_of = {video.id: row for row, video in enumerate(videos)}
    aligned = np.full((len(videos), scores.values.shape[1]), np.nan)
    expected = labels_of(videos, len(scores.classes), scores.labels.ndim == 2)
    for name, label, values in zip(scores.ids, scores.labels, scores.values, strict=True):
        row = row_of.get(name)
        if row is None or not np.array_equal(expected[row], label):
            raise UserError(
                f"the {scores.modality} scores hold {name!r}, which split {scores.split} of the "
                "index does not test or labels otherwise; score the videos again"
            )
        aligned[row] = values
    return aligned


def check_match(scores: list[Scores]) -> None:
    """Raise UserError unless all scores are of one data set, experiment, split and protocol."""
    for other in scores[1:]:
        for name in SHARED:
            first, second = getattr(scores[0], name), getattr(other, name)
            if first != second:
                raise UserError(
                    f"fusion: the {scores[0].modality} scores have {name} {first!r}, "
                    f"the {other.modality} scores {second!r}; score both again with one setting"
                )


def check_index(scores: Scores, index: list[Video], split: int) -> None:
    """Raise UserError unless scores are of this split, and of the classes that the index has."""
    if scores.split != split:
        raise UserError(
            f"fusion: the {scores.modality} scores are of split {scores.split}, not {split}; "
            f"score the videos of split {split}"
        )
    several = scores.labels.ndim == 2
    if scores.classes != tuple(class_names(index)) or several != multi_label(index):
        raise UserError(
            f"fusion: the {scores.modality} scores are of other classes than the index has; "
            "train and score again"
        )


def fuse_split(
    scores: list[Scores], fusion: FusionConfig, index: list[Video], split: int, experiment: str
) -> dict:
    """Metrics of every modality and combination over all test videos, quarantined ones included.

    Returns:
        {"dataset", "experiment", "split", "train_videos", "test_videos",
        "class_videos": {name: {"train", "test"}: how many the class has}, "protocol",
        "models": {modality: {"experiment" whose folder holds it, "sha256",
        "shards": their fingerprint, "engine" that ran it}},
        "modalities": {name: metrics}, "fused": metrics with "weights" and "fuse",
        "compare": {name: metrics with "weights" and "fuse"},
        "not_scored": ids of test videos that the main combination could not score}.

    Raises:
        UserError: as `fuse` and `align`, or if the scores are of another split or other classes
            than the index.
    """
    videos = members(index, split, "test")
    classes = tuple(class_names(index))
    labels = labels_of(videos, len(classes), multi_label(index))
    for entry in scores:
        check_index(entry, index, split)

    def combined(weights: Mapping) -> dict:
        fused = fuse(scores, dict(weights), videos, fusion.fuse)
        measured = metrics(fused, labels, classes, threshold(dict(weights), fusion.fuse))
        return {"weights": weights, "fuse": fusion.fuse, **measured}

    weights = fusion.chosen_weights
    main = fuse(scores, weights, videos, fusion.fuse)
    return {
        "dataset": scores[0].dataset,
        "experiment": experiment,
        "split": split,
        "train_videos": len(members(index, split, "train")),
        "test_videos": len(videos),
        "class_videos": class_videos(index, split),
        "protocol": scores[0].protocol,
        "models": {
            e.modality: {
                "experiment": e.experiment,
                "sha256": e.model,
                "shards": e.shards,
                "engine": e.engine,
            }
            for e in scores
        },
        "modalities": {e.modality: metrics(align(e, videos), labels, classes) for e in scores},
        "fused": combined(weights),
        "compare": {name: combined(other) for name, other in fusion.compare.items()},
        "not_scored": [v.id for v, row in zip(videos, main, strict=True) if np.isnan(row).any()],
    }
