"""What lies behind the accuracies of a split: classes, confusions, and who rescues which video."""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tsn.evaluation.answers import NO_ANSWER, Answers, confusion, most_confused
from tsn.models.modality import FUSED
from tsn.runtime.files import write_json, write_tsv

MOST_CONFUSED = 20
"""Pairs of classes that fusion.json lists; confusion.json has all."""


@dataclass(frozen=True)
class Rescues:
    """Videos that one answer gets right where others fail, by id.

    Attributes:
        alone: by modality, videos that it answers rightly and no other modality does.
        gained: videos that the fusion answers rightly and not a single modality does.
        kept: by modality, those of `alone` that the fusion answers rightly, too.
        lost: videos that the fusion answers wrongly although a modality is right.
    """

    alone: dict[str, list[str]]
    kept: dict[str, list[str]]
    gained: list[str]
    lost: list[str]


def rescues(given: Answers) -> Rescues:
    """Compare the modalities with one another and with the fusion, video by video."""
    right = {name: labels == given.truth for name, labels in given.given.items()}
    fused = right.pop(FUSED)
    count = np.sum(list(right.values()), axis=0)
    ids = np.array(given.ids, dtype=object)

    def named(chosen: np.ndarray) -> list[str]:
        return ids[chosen].tolist()

    only = {name: mask & (count == 1) for name, mask in right.items()}
    return Rescues(
        {name: named(mask) for name, mask in only.items()},
        {name: named(mask & fused) for name, mask in only.items()},
        named(fused & (count == 0)),
        named(~fused & (count > 0)),
    )


def describe(given: Answers) -> dict:
    """The part of a split's fusion.json that names videos and classes.

    Returns:
        "rescued": see `Rescues`; "confused": the commonest mistakes of the fusion, each with
        "true", "answer", "count" and "videos" (of the true class), most first.
    """
    mistakes = most_confused(confusion([given]), given.classes, MOST_CONFUSED)
    return {
        "rescued": asdict(rescues(given)),
        "confused": [asdict(mistake) for mistake in mistakes],
    }


def write_confusion(path: Path | str, given: Answers) -> None:
    """Write confusion matrices as JSON.

    {"classes": names, "matrices": {modality or "fused": C rows (true classes) of C + 1 numbers of
    videos (answers; the last one: no answer)}}.
    """
    matrices = {name: confusion([given], name).tolist() for name in given.given}
    write_json(path, {"classes": list(given.classes), "matrices": matrices})


def write_per_class(path: Path | str, given: Answers) -> None:
    """Write a table: class, test videos, and the share (0…1) each modality and the fusion get."""
    right = {name: labels == given.truth for name, labels in given.given.items()}
    rows = []
    for label, name in enumerate(given.classes):
        members = given.truth == label
        if members.any():
            shares = (f"{mask[members].mean():.4f}" for mask in right.values())
            rows.append((name, int(members.sum()), *shares))
    write_tsv(path, ("class", "videos", *right), rows)


def write_videos(path: Path | str, given: Answers) -> None:
    """Write a table of all test videos: id, class, every answer (empty: none), who rescues it.

    "rescued_by" is the modality that alone is right, or "fused" where no modality is.
    """
    found = rescues(given)
    rescued_by = {video: name for name, videos in found.alone.items() for video in videos}
    rescued_by |= dict.fromkeys(found.gained, FUSED)

    def class_of(label: int) -> str:
        return "" if label == NO_ANSWER else given.classes[label]

    rows = (
        (
            video,
            class_of(given.truth[n]),
            *(class_of(labels[n]) for labels in given.given.values()),
            rescued_by.get(video, ""),
        )
        for n, video in enumerate(given.ids)
    )
    write_tsv(path, ("id", "class", *given.given, "rescued_by"), rows)
