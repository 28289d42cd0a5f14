"""The loss of a training, and what is counted beside it.

Labels are int64 (N,) for cross-entropy after softmax, or float32 (N, C), 1 for each class of a
video, for binary cross-entropy: every class is a question of its own, and a video may have several.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tsn.config.schema import TrainingConfig


def summed_loss(
    scores: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor | None = None,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """The loss, summed over videos, and for binary cross-entropy over classes.

    In float32, or in float64 if the scores are.

    Args:
        scores: (N, C).
        labels: (N,) or (N, C), see above.
        weights: float32 (C,), of the classes; None for 1. In binary cross-entropy they weigh a
            class where it is there.
        smoothing: part of each label that is spread over all classes, or over yes and no, 0…1.
    """
    scores = scores if scores.dtype == torch.float64 else scores.float()
    if labels.ndim == 2:
        return binary_cross_entropy_with_logits(
            scores,
            labels * (1 - smoothing) + smoothing / 2,
            reduction="sum",
            pos_weight=weights,
        )
    return cross_entropy(scores, labels, weights, reduction="sum", label_smoothing=smoothing)


def count(loss: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed loss, number of correct predictions and of videos: float64 (3,), on the device.

    The best class of a video with several is correct if it is one of them.
    """
    best = scores.argmax(1)
    hits = best == labels if labels.ndim == 1 else labels.gather(1, best[:, None]) > 0.5
    correct = hits.sum()
    return torch.stack([loss.detach(), correct, torch.full_like(correct, len(labels))]).double()


def class_weights(
    recipe: TrainingConfig, classes: Sequence[str], videos: np.ndarray
) -> torch.Tensor | None:
    """Weights of the classes in the loss, float32 (C,), or None where all are 1.

    Balanced weights are V / (C' n) for n of V videos and C' classes that have any: scikit-learn's
    `compute_class_weight`. V counts a video once for each of its classes.

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
