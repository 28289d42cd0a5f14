"""Temperature scaling of a fusion on held-out training videos (Guo et al. 2017)."""

import numpy as np

from tsn.datasets.records import Video
from tsn.evaluation.fusion import combine, mean_of_several, probabilities, to_logits
from tsn.evaluation.metrics import reliability
from tsn.evaluation.predictions import SplitPredictions
from tsn.evaluation.scores import Scores
from tsn.evaluation.search import held_out_scores
from tsn.models.modality import FUSED

TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for; scores that are right on all held-out videos would have 0."""


def fit_temperature(logits: np.ndarray, labels: np.ndarray, loss: str = "cross_entropy") -> float:
    """The T with the least cross-entropy of the probabilities of logits / T, in `TEMPERATURES`.

    Args:
        logits: float (V, C).
        labels: int (V,), or bool (V, C).
        loss: of the networks, see `tsn.evaluation.fusion.probabilities`.
    """
    truth = labels if labels.ndim == 2 else labels[:, None] == np.arange(logits.shape[1])

    def slope(inverse: float) -> float:
        """Derivative of the cross-entropy, which is convex in 1 / T."""
        return float(((probabilities(logits * inverse, loss) - truth) * logits).sum(1).mean())

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    for _ in range(60):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / (low * high) ** 0.5


def fit_fusion(
    scores: list[Scores], weights: dict[str, float], index: list[Video], split: int, of: str
) -> float:
    """The temperature of a fusion on held-out training videos.

    Args:
        scores: of held-out videos, one per modality.
        weights: of the fusion, by modality.
        index: the data set.
        split: whose training videos they are of.
        of: what is fused, see `tsn.evaluation.fusion.combine`.

    Raises:
        UserError: a scored video is not a training video of the split, or the scores do not match.
    """
    values, labels = held_out_scores(scores, index, split, "fusion.calibrate")
    loss = scores[0].loss
    fused = mean_of_several(combine(values, weights, of, loss), weights, loss)
    return fit_temperature(fused if of == "logits" else to_logits(fused, loss), labels, loss)


def calibration_of(split: SplitPredictions, temperature: float | None = None) -> dict:
    """How far the fusion's probabilities can be believed.

    Returns:
        "temperature" (None: none was fitted), "uncalibrated" and, with a temperature,
        "calibrated": see `tsn.evaluation.metrics.reliability`.
    """
    correct = split.correct[FUSED]
    found = {
        "temperature": temperature,
        "uncalibrated": reliability(split.confidence(), correct),
    }
    if temperature:
        found["calibrated"] = reliability(split.confidence(temperature), correct)
    return found
