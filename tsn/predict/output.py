"""Predictions as text for people and as JSON for programs."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tsn.evaluation.fusion import probabilities
from tsn.models.modality import NAMES
from tsn.predict.ensemble import Prediction
from tsn.runtime.files import write_errors, write_text


@dataclass(frozen=True)
class Ranked:
    """A class, its probability (0…1), and its score."""

    name: str
    probability: float
    score: float


def best(
    scores: np.ndarray,
    classes: tuple[str, ...],
    count: int,
    probabilities: np.ndarray,
) -> list[Ranked]:
    """The classes with the highest scores, best first; of equal ones the first."""
    order = np.argsort(-scores, kind="stable")[:count]
    return [Ranked(classes[n], float(probabilities[n]), float(scores[n])) for n in order]


def top(prediction: Prediction, classes: tuple[str, ...], count: int) -> list[Ranked]:
    """The best classes of the fusion."""
    return best(prediction.fused, classes, count, prediction.probabilities)


def as_dict(prediction: Prediction, classes: tuple[str, ...], count: int) -> dict:
    """One video's entry of the JSON: "video", "frames", "top", and "modalities" with their own."""

    def entries(ranked: list[Ranked]) -> list[dict]:
        return [{"class": r.name, "probability": r.probability, "score": r.score} for r in ranked]

    return {
        "video": prediction.path,
        "frames": prediction.frames,
        "top": entries(top(prediction, classes, count)),
        "modalities": {
            name: entries(best(values, classes, count, probabilities(values, prediction.loss)))
            for name, values in prediction.scores.items()
        },
    }


def as_text(prediction: Prediction, classes: tuple[str, ...], count: int) -> str:
    """One video for the terminal: its best classes, then the first one of each modality."""
    lines = [prediction.path]
    for one in top(prediction, classes, count):
        lines.append(f"  {100 * one.probability:5.1f} %  {one.name}")
    if len(prediction.scores) > 1:
        firsts = (
            f"{NAMES[name]}: {classes[int(values.argmax())]}"
            for name, values in prediction.scores.items()
        )
        lines.append(f"  ({', '.join(firsts)})")
    return "\n".join(lines)


class JsonFile:
    """A JSON file that grows with the videos and is whole after each of them.

    Args:
        path: the file; one that exists is replaced.
        about: what is known before the first video. "videos" and "failed" are added.
    """

    def __init__(self, path: Path | str, about: dict):
        self._failed: list[dict] = []
        head = json.dumps(about, indent=2).removesuffix("\n}") + ',\n  "videos": ['
        self._path = Path(path)
        write_text(path, head + self._tail())
        self._end = self._start = len(head.encode())

    def add(self, entry: dict) -> None:
        """Add a video that was scored."""
        text = json.dumps(entry, indent=2).replace("\n", "\n    ")
        separator = "," if self._end > self._start else ""
        self._end += self._write(f"{separator}\n    {text}")

    def add_failed(self, video: str, error: str) -> None:
        """Add a video that could not be scored."""
        self._failed.append({"video": video, "error": error})
        self._write("")

    def _write(self, text: str) -> int:
        """Put a text, and the end of the document after it, in the place of the old end."""
        with write_errors(self._path), self._path.open("r+b") as file:
            file.seek(self._end)
            file.write((text + self._tail()).encode())
            file.truncate()
        return len(text.encode())

    def _tail(self) -> str:
        failed = json.dumps(self._failed, indent=2).replace("\n", "\n  ")
        return f'\n  ],\n  "failed": {failed}\n}}\n'
