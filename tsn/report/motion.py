"""What the flow of a data set is like: how much the camera moves, and what its bound cuts off."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from tsn.datasets.records import Video
from tsn.runtime.files import write_json
from tsn.shards.store import ShardSet

MUCH_CLIPPED = 0.05
"""Clips with a larger fraction of flow values beyond the bound are named."""

_VIDEOS, _PAIRS = 20, 8
"""Videos of a class, and pairs of each, whose camera motion is looked up."""


@dataclass(frozen=True)
class Motion:
    """The flow of a data set.

    Attributes:
        camera: fraction (0…1) of pairs with a camera motion, by class; empty without warped flow.
        clipped: by id, the fraction (0…1) of flow values beyond the bound of the videos in which it
            is above `MUCH_CLIPPED`, highest first.
    """

    camera: dict[str, float]
    clipped: dict[str, float]


def write_motion(path: Path | str, index: list[Video], stores: dict[str, ShardSet]) -> None:
    """Write a `Motion` as JSON.

    Args:
        path: the file.
        index: the data set.
        stores: by stream.

    Raises:
        UserError: if a shard is damaged.
    """
    flow, warped = stores.get("flow"), stores.get("warped_flow")
    camera = _camera_motion(index, flow, warped) if flow and warped else {}
    fractions = {v.id: flow.clipped(v.id) for v in index if flow.usable(v.id)} if flow else {}
    clipped = sorted(fractions.items(), key=lambda item: -item[1])
    motion = Motion(camera, {name: part for name, part in clipped if part > MUCH_CLIPPED})
    write_json(path, asdict(motion))


def read_motion(path: Path | str) -> Motion:
    """What `write_motion` wrote."""
    return Motion(**json.loads(Path(path).read_text(encoding="utf-8")))


def _camera_motion(index: list[Video], flow: ShardSet, warped: ShardSet) -> dict[str, float]:
    """Fraction of pairs with a camera motion by class, from a sample of its videos and pairs."""
    by_class: dict[str, list[str]] = {}
    for video in index:
        if flow.usable(video.id) and warped.usable(video.id):
            for name in video.classes:
                by_class.setdefault(name, []).append(video.id)
    return {
        name: fmean(_moved(flow, warped, ids[n]) for n in _spread(len(ids), _VIDEOS))
        for name, ids in sorted(by_class.items())
    }


def _moved(flow: ShardSet, warped: ShardSet, video_id: str) -> float:
    pairs = _spread(flow.length(video_id), _PAIRS)
    # Where no motion of the camera was found, the flow was passed on byte for byte.
    differ = flow.read(video_id, pairs) != warped.read(video_id, pairs)
    return float(differ.any(axis=(1, 2, 3)).mean())


def _spread(count: int, most: int) -> list[int]:
    """Up to `most` numbers that lie evenly in 0…count - 1."""
    return np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()
