"""The loss of a training, and what is counted beside it."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from tsn.config.schema import TrainingConfig


def summed_loss(
    scores: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Cross-entropy after softmax, in float32, summed over videos.

    Args:
        scores: (N, C).
        labels: int64 (N,).
        weights: float32 (C,), of the classes; None for 1.
        smoothing: part of each label that is spread over all classes, 0…1.
    """
    return cross_entropy(
        scores.float(), labels, weights, reduction="sum", label_smoothing=smoothing
    )


def count(loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed loss, number of correct predictions and of videos: float64 (3,), on the device."""
    correct = (scores.argmax(1) == labels).sum()
    return torch.stack([loss.detach(), correct, torch.full_like(correct, len(labels))]).double()


def class_weights(
    recipe: TrainingConfig, classes: Sequence[str], videos: np.ndarray
) -> torch.Tensor | None:
    """Weights of the classes in the loss, float32 (C,), or None where all are 1.

    Balanced weights are V / (C' n) for n of V videos and C' classes that have any: scikit-learn's
    `compute_class_weight`.

    Args:
        recipe: says which.
        classes: C names.
        videos: int (C,), the training videos of each.
    """
    if recipe.class_weights == "none":
        return None
    if isinstance(recipe.class_weights, dict):
        return torch.tensor([recipe.class_weights.get(name, 1.0) for name in classes])
    balanced = videos.sum() / (np.count_nonzero(videos) * np.maximum(videos, 1))
    return torch.tensor(balanced, dtype=torch.float32)
