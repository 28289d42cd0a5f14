"""Measures of class scores: accuracies, mean average precision of several labels, calibration.

Equal scores are ranked by class number. A video without a score has a row of NaN: none of its
classes counts as found. Classes without test videos are left out of means over the classes.
"""

import numpy as np

MEASURES = {
    "map": "mAP",
    "top1": "top-1",
    "top5": "top-5",
    "mean_class": "mean of classes",
    "f1": "macro-F1",
}
"""Of a table of results, and their titles. The first that is there is the one that counts."""

BINS = 15
"""Of confidence, equally wide, as by Guo et al. (2017)."""


def main_measure(result: dict) -> str:
    """The key of what counts in a result of `metrics`: "map" or "top1"."""
    return next(name for name in MEASURES if name in result)


def metrics(
    scores: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], threshold: float = 0.0
) -> dict:
    """Measure class scores; all measures are fractions, 0…1.

    Args:
        scores: float (V, C).
        labels: int (V,), the true classes, or bool (V, C) where videos may have several.
        classes: C names.
        threshold: with several classes, those with a score above it are predicted, for F1.

    Returns:
        "videos"; "top1", "top5"; "mean_class", the mean of the classes' accuracies (the authors'
        release calls this accuracy); "f1", the mean of the classes' 2 TP / (2 TP + FP + FN);
        "per_class", accuracies by name. Where videos may have several classes: "map", mean average
        precision; "top1", "top5", videos with one of their classes among the best 1, 5 ("hit@k");
        "f1"; "per_class", average precisions.

    Raises:
        ValueError: there is no video, or one has a label that is no class, or has none.
    """
    size = len(classes)
    if labels.ndim == 1:
        if not len(labels) or not 0 <= labels.min() <= labels.max() < size:
            raise ValueError(f"labels must be 0…{size - 1}, of one video at least, not {labels}")
        truth = labels[:, None] == np.arange(size)
    else:
        truth = labels
        if not len(labels) or labels.shape[1] != size or not labels.any(1).all():
            raise ValueError(f"labels must be (V, {size}), with a class in every row")
    scored = ~np.isnan(scores).any(1)
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    hits = np.take_along_axis(truth, order, 1) & scored[:, None]
    measured = {
        "videos": len(labels),
        "top1": float(hits[:, 0].mean()),
        "top5": float(hits[:, :5].any(1).mean()),
    }
    there = truth.sum(0)
    tested = np.flatnonzero(there)
    if labels.ndim == 1:
        predicted = (order[:, :1] == np.arange(size)) & scored[:, None]
        recall = (predicted & truth).sum(0)[tested] / there[tested]
        per_class = {classes[n]: float(value) for n, value in zip(tested, recall, strict=True)}
        measured["mean_class"] = float(np.mean(list(per_class.values())))
    else:
        predicted = (np.nan_to_num(scores, nan=-np.inf) > threshold) & scored[:, None]
        per_class = {
            classes[n]: average_precision(scores[scored, n], truth[scored, n], there[n])
            for n in tested
        }
        measured["map"] = float(np.mean(list(per_class.values())))
    # 2 TP + FP + FN is what the class has and what was taken for it.
    f1 = 2 * (predicted & truth).sum(0)[tested] / (there + predicted.sum(0))[tested]
    return {**measured, "f1": float(f1.mean()), "per_class": per_class}


def average_precision(scores: np.ndarray, positive: np.ndarray, total: int | None = None) -> float:
    """The mean precision at the ranks of the positives; equal scores share the lowest of theirs.

    scikit-learn's `average_precision_score`, mmaction2's `mean_average_precision` of one class.

    Args:
        scores: float (V,), finite.
        positive: bool (V,).
        total: number of all positives, also of those without a score, which are never found; at
            least 1.
    """
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(positive[order])
    last = np.flatnonzero(np.diff(scores[order], append=np.nan))  # of equal ones
    precision = found[last] / (last + 1)
    total = int(positive.sum()) if total is None else total
    return float((precision * np.diff(found[last], prepend=0)).sum() / total)


def reliability(confidence: np.ndarray, correct: np.ndarray) -> dict:
    """Accuracy against confidence, which is the probability of the predicted class.

    Args:
        confidence: float (V,), 0…1; videos with NaN, which have no prediction, are left out.
        correct: bool (V,).

    Returns:
        "ece", the expected calibration error: |accuracy - confidence| of `BINS` bins, weighted by
        their videos; "bins": "confidence" and "accuracy" (means, 0…1) and "videos" of those that
        are not empty.
    """
    scored = ~np.isnan(confidence)
    confidence, correct = confidence[scored], correct[scored]
    bin_of = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        {
            "confidence": float(confidence[bin_of == n].mean()),
            "accuracy": float(correct[bin_of == n].mean()),
            "videos": int((bin_of == n).sum()),
        }
        for n in np.unique(bin_of)
    ]
    errors = [b["videos"] * abs(b["accuracy"] - b["confidence"]) for b in bins]
    return {"ece": float(sum(errors) / max(len(correct), 1)), "bins": bins}
