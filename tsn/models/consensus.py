"""The segmental consensus G: the scores of a video's K snippets become the video's scores.

Wang et al. 2016, section 3.1, equation 1; top-k pooling is of their longer article (Temporal
Segment Networks for Action Recognition in Videos, 2018, section 3.2). With the cross-entropy L of
equation 2, the gradient that reaches snippet k is dL/dG * dG/dF_k, with
dL/dG_i = softmax(G)_i - y_i.
"""

import re

import torch
from torch import nn

from tsn.runtime.errors import UserError


class AverageConsensus(nn.Module):
    """G = (1 / K) sum_k F_k, for any K."""

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, K, C) -> (N, C)."""
        return scores.mean(1)


class MaxConsensus(nn.Module):
    """G_i = max_k F_k,i, for any K; the gradient goes to the highest snippet of each class."""

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, K, C) -> (N, C)."""
        return scores.amax(1)


class TopConsensus(nn.Module):
    """G_i = mean of the `count` highest F_k,i, or of all K if there are fewer.

    Each class takes its own snippets; the gradient goes to them in equal parts.
    """

    def __init__(self, count: int):
        super().__init__()
        self.count = count

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, K, C) -> (N, C)."""
        return scores.topk(min(self.count, scores.shape[1]), dim=1).values.mean(1)


class WeightedConsensus(nn.Module):
    """G = sum_k w_k F_k with learned w, shared by all classes and initialised to 1 / K.

    The weights belong to the segments of training. Where there are K' others (25 at test time),
    no weight fits, and the plain average of the K' snippets is taken.
    """

    def __init__(self, segments: int):
        super().__init__()
        self.segment_weights = nn.Parameter(torch.full((segments,), 1 / segments))

    def forward(self, scores: torch.Tensor) -> torch.Tensor:
        """(N, K, C) -> (N, C)."""
        if scores.shape[1] != len(self.segment_weights):
            return scores.mean(1)
        return (scores * self.segment_weights[:, None]).sum(1)


def build_consensus(name: str, segments: int) -> nn.Module:
    """The consensus `name` over `segments` (K) snippets.

    Args:
        name: average, max, weighted, or top2, top3, ... for the k highest snippets of each class.
        segments: K of training.

    Raises:
        UserError: unknown name, or fewer than one segment.
    """
    if segments < 1:
        raise UserError(f"{segments} segments: a video needs at least 1")
    match name:
        case "average":
            return AverageConsensus()
        case "max":
            return MaxConsensus()
        case "weighted":
            return WeightedConsensus(segments)
    top = re.fullmatch("top([1-9][0-9]*)", name)
    if top is None:
        raise UserError(f"unknown consensus {name!r}: use average, max, weighted, or top2, top3, …")
    return TopConsensus(int(top[1]))
