"""Accuracies: plain top-1 and top-5, and the mean of the classes' accuracies."""

import numpy as np


def metrics(scores: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> dict:
    """Accuracies of class scores.

    A video without a score has a row of NaN and counts as misclassified. Equal scores are ranked
    by class number.

    Args:
        scores: float (V, C).
        labels: int (V,), the true classes.
        classes: C names.

    Returns:
        "videos", "top1", "top5", "mean_class" (the authors' release calls this accuracy; classes
        without test videos are left out), "per_class" by name; accuracies are fractions, 0…1.

    Raises:
        ValueError: there is no video, or a label is not one of the classes.
    """
    if not len(labels) or not 0 <= labels.min() <= labels.max() < len(classes):
        raise ValueError(
            f"labels must be 0…{len(classes) - 1}, of one video at least, not {labels}"
        )
    order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=1, kind="stable")
    hits = (order == labels[:, None]) & ~np.isnan(scores).any(1, keepdims=True)
    correct = hits[:, 0]
    per_class = {
        name: float(correct[labels == label].mean())
        for label, name in enumerate(classes)
        if (labels == label).any()
    }
    return {
        "videos": len(labels),
        "top1": float(correct.mean()),
        "top5": float(hits[:, :5].any(1).mean()),
        "mean_class": float(np.mean(list(per_class.values()))),
        "per_class": per_class,
    }
