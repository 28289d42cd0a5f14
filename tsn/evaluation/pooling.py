"""From the scores of a video's snippets to the video's scores, before softmax.

=========  =====================================================================
average    mean over all crops of all snippets (Wang et al. 2016)
max        each class's highest snippet
top2, …    mean of each class's 2, … highest snippets (Wang et al. 2019, "top-k")
window     multi-scale temporal window integration (Wang et al. 2019), for the dense
           protocol: each class's highest snippet in overlapping windows of 1, 2, 4,
           8 and 16 s; for each length the mean of its best windows; their mean
=========  =====================================================================

Scores of a snippet are the mean over its crops; for `window` they are the maximum. Score files keep
them, to be pooled in other ways without another test:

    >>> read_scores("scores.h5", "top3").values
"""

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

SPANS = (1, 2, 4, 8, 16)
"""Lengths of the windows in seconds; a window starts every 0.8 of its length."""

MIN_WINDOWS = 15
"""Of each length, a class's mean is over its highest quarter of the windows, and at least these."""


def pool(snippets: np.ndarray, pooling: str, stride: float = 1.0) -> np.ndarray:
    """Pool scores of snippets.

    Args:
        snippets: float (..., S, C).
        pooling: see above; where there are fewer snippets than "top…" asks for, all are taken.
        stride: seconds from one snippet to the next, for "window".

    Returns:
        (..., C).

    Raises:
        ValueError: there is no such pooling, or no snippet.
    """
    if snippets.ndim < 2 or not snippets.shape[-2]:
        raise ValueError(f"scores of snippets are (..., S, C), S above 0, not {snippets.shape}")
    if pooling == "average":
        return snippets.mean(-2)
    if pooling == "max":
        return snippets.max(-2)
    if match := re.fullmatch(r"top([1-9]\d*)", pooling):
        return np.sort(snippets, axis=-2)[..., -int(match[1]) :, :].mean(-2)
    if pooling == "window":
        lengths = [max(1, round(span / stride)) for span in SPANS]
        return np.mean([_best_windows(snippets, length) for length in lengths], axis=0)
    raise ValueError(f"pooling {pooling!r} is none of average, max, window, top2, top3, …")


def pool_crops(video: "torch.Tensor", pooling: str = "average", stride: float = 1.0) -> np.ndarray:
    """Pool the scores of all crops of a video, (S, K, C) -> (C,); see `pool`."""
    if pooling == "average":
        return video.transpose(0, 1).flatten(0, 1).mean(0).cpu().numpy()
    snippets = video.amax(1) if pooling == "window" else video.mean(1)
    return pool(snippets.cpu().numpy(), pooling, stride)


def _best_windows(snippets: np.ndarray, length: int) -> np.ndarray:
    """Mean of each class's highest windows of `length` snippets, the last ones being shorter."""
    starts = range(0, snippets.shape[-2], -(-4 * length // 5))
    windows = np.stack([snippets[..., s : s + length, :].max(-2) for s in starts], axis=-2)
    count = max(MIN_WINDOWS, len(starts) // 4)
    return np.sort(windows, axis=-2)[..., -count:, :].mean(-2)
