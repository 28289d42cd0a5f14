"""True classes of videos as an array: a number each, or rows of a matrix for several classes."""

from collections.abc import Sequence

import numpy as np

from tsn.datasets.records import Video


def labels_of(videos: Sequence[Video], classes: int, multi_label: bool) -> np.ndarray:
    """The labels of videos: int64 (V,), or with `multi_label` bool (V, C)."""
    if not multi_label:
        return np.array([video.label for video in videos], np.int64)
    labels = np.zeros((len(videos), classes), bool)
    for row, video in zip(labels, videos, strict=True):
        row[list(video.labels)] = True
    return labels
