"""Accuracies of class scores: top-1, top-5, mean of the classes, macro-F1."""

import numpy as np

MEASURES = {
    "top1": "top-1",
    "top5": "top-5",
    "mean_class": "mean of classes",
    "f1": "macro-F1",
}
"""Of a table of results, and their titles."""


def metrics(scores: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Accuracies of class scores.

    A video without a score has a row of NaN and counts as misclassified. Equal scores are ranked
    by class number. Classes without test videos are left out of means.

    Args:
        scores: float (V, C).
        labels: int (V,), the true classes.
        classes: C names.

    Returns:
        "videos"; "top1", "top5"; "mean_class", the mean of the classes' accuracies (the authors'
        release calls this accuracy); "f1", the mean of the classes' 2 TP / (2 TP + FP + FN);
        "per_class", accuracies by name. All are fractions, 0…1.

    Raises:
        ValueError: there is no video, or a label is not one of the classes.
    """
    if not len(labels) or not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(
            f"labels must be 0…{len(classes) - 1}, of one video at least, not {labels}"
        )
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    scored = ~np.isnan(scores).any(1)
    hits = (order == labels[:, None]) & scored[:, None]
    correct = hits[:, 0]
    size = len(classes)
    there = np.bincount(labels, minlength=size)
    tested = np.flatnonzero(there)
    right = np.bincount(labels[correct], minlength=size)
    predicted = np.bincount(order[scored, 0], minlength=size)
    per_class = {classes[label]: float(right[label] / there[label]) for label in tested}
    return {
        "videos": len(labels),
        "top1": float(correct.mean()),
        "top5": float(hits[:, :5].any(1).mean()),
        "mean_class": float(np.mean(list(per_class.values()))),
        # 2 TP + FP + FN is what the class has and what was taken for it.
        "f1": float((2 * right / (there + predicted).clip(1))[tested].mean()),
        "per_class": per_class,
    }
