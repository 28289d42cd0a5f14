"""Predictions as values for people and programs."""

from dataclasses import dataclass

import numpy as np

from tsn.evaluation.fusion import softmax
from tsn.models.modality import NAMES
from tsn.predict.ensemble import Prediction


@dataclass(frozen=True)
class Ranked:
    """A class, its share of the softmax over all classes (0…1), and its score."""

    name: str
    probability: float
    score: float


def best(
    scores: np.ndarray, classes: tuple[str, ...], count: int, shares: np.ndarray | None = None
) -> list[Ranked]:
    """The classes with the highest scores, best first; of equal ones the first.

    `shares` are the probabilities where they are not the scores' softmax.
    """
    shares = softmax(scores) if shares is None else shares
    order = np.argsort(-scores, kind="stable")[:count]
    return [Ranked(classes[n], float(shares[n]), float(scores[n])) for n in order]


def top(prediction: Prediction, classes: tuple[str, ...], count: int) -> list[Ranked]:
    """The best classes of the fusion."""
    return best(prediction.fused, classes, count, prediction.shares)


def as_dict(prediction: Prediction, classes: tuple[str, ...], count: int) -> dict:
    """One video's entry of the JSON: "video", "frames", "top", and "modalities" with their own."""

    def entries(ranked: list[Ranked]) -> list[dict]:
        return [{"class": r.name, "probability": r.probability, "score": r.score} for r in ranked]

    return {
        "video": prediction.path,
        "frames": prediction.frames,
        "top": entries(top(prediction, classes, count)),
        "modalities": {
            name: entries(best(values, classes, count))
            for name, values in prediction.scores.items()
        },
    }


def as_text(prediction: Prediction, classes: tuple[str, ...], count: int) -> str:
    """One video for the terminal: its best classes, then the first choice of each modality."""
    lines = [prediction.path]
    for one in top(prediction, classes, count):
        lines.append(f"  {100 * one.probability:5.1f} %  {one.name}")
    if len(prediction.scores) > 1:
        firsts = (
            f"{NAMES[name]}: {best(values, classes, 1)[0].name}"
            for name, values in prediction.scores.items()
        )
        lines.append(f"  ({', '.join(firsts)})")
    return "\n".join(lines)
