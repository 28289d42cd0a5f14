"""From the scores of a video's snippets to the video's scores, before softmax.

=========  =====================================================================
average    mean over all crops of all snippets (Wang et al. 2016)
max        each class's highest snippet
top2, …    mean of each class's 2, … highest snippets (Wang et al. 2019, "top-k")
=========  =====================================================================

Scores of a snippet are the mean over its crops. Score files keep them, to be pooled in other ways
without another test:

    >>> pool(read_scores("scores.h5").snippets, "top3")
"""

import re

import numpy as np
import torch


def pool(snippets: np.ndarray, pooling: str) -> np.ndarray:
    """Pool scores of snippets.

    Args:
        snippets: float (..., S, C).
        pooling: see above; where there are fewer snippets than "top…" asks for, all are taken.

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
    raise ValueError(f"pooling {pooling!r} is none of average, max, top2, top3, …")


def pool_crops(video: torch.Tensor, pooling: str = "average") -> np.ndarray:
    """Pool the scores of all crops of a video, (S, K, C) -> (C,); see `pool`."""
    if pooling == "average":
        return video.flatten(0, 1).mean(0).cpu().numpy()
    return pool(video.mean(1).cpu().numpy(), pooling)
