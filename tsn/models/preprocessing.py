"""What a set of pretrained weights expects of its input, and how each modality is made to fit.

Normalisation belongs to the weights, not to the data loader: loaders deliver RGB values on the
0..255 scale, and the network turns them into what its weights were trained on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from tsn.models.modality import FLOW_MODALITIES, check_modality

ZERO_MOTION = 128.0
"""The quantised value of no motion: round(255 * 20 / 40) (dense_flow, bound 20)."""


@dataclass(frozen=True)
class Preprocessing:
    """Input of a set of weights: (value * scale - mean) / std, channels in the order `colour`.

    Attributes:
        colour: order of the three colour channels, and of `mean` and `std`.
        scale: factor from the 0..255 scale to the one that `mean` and `std` are given on.
        mean: three means, on the scaled range.
        std: three standard deviations, on the scaled range.
        flow_mean: what a byte of flow is reduced by, 0..255.
        flow_std: standard deviation of flow, on the scaled range; None: the mean of `std`.
        difference_std: of RGB differences, on the scaled range, in the order `colour`; None: `std`.
    """

    colour: Literal["RGB", "BGR"]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    flow_mean: float = ZERO_MOTION
    flow_std: float | None = None
    difference_std: tuple[float, float, float] | None = None


CAFFE = Preprocessing("BGR", 1.0, (104.0, 117.0, 128.0), (1.0, 1.0, 1.0))
"""Caffe's BN-Inception, as in tsn-pytorch (the authors' Caffe files have 123 for red)."""

CAFFE_VGG = Preprocessing("BGR", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))
"""Caffe's VGG and CNN-M networks: the mean pixel of ImageNet (Chatfield et al. 2014)."""

IMAGENET = Preprocessing("RGB", 1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""torchvision's ImageNet weights."""

UNIT = Preprocessing("RGB", 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""-1..1: TensorFlow's Inception weights in torchvision, whose `transform_input` undoes IMAGENET
in favour of this; with `transform_input` off it is what the weights expect."""

TENSORFLOW_LITE = Preprocessing("RGB", 1.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""TensorFlow's EfficientNet-Lite."""


class InputNormalisation(nn.Module):
    """(x - mean) * gain, after putting the channels in the weights' colour order.

    The three buffers are saved with a model, so that a checkpoint carries its normalisation:
    `order` int64 (P,), `mean` float32 (P, 1, 1) on the 0..255 scale, `gain` float32 (P, 1, 1),
    where the period P is 3 for colours and 1 for flow.
    """

    order: torch.Tensor
    mean: torch.Tensor
    gain: torch.Tensor

    def __init__(self, order: list[int], mean: torch.Tensor, gain: torch.Tensor):
        super().__init__()
        self.register_buffer("order", torch.tensor(order))
        self.register_buffer("mean", mean.view(-1, 1, 1))
        self.register_buffer("gain", gain.view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (N, C, H, W) uint8 or float on the 0..255 scale to float of that shape.

        C must be a multiple of the period (3 for rgb and rgb_diff, 1 for flow).
        """
        periods = x.unflatten(1, (-1, len(self.order)))
        if len(self.order) > 1:
            periods = periods.index_select(2, self.order)
        return (periods.to(self.mean.dtype) - self.mean).mul_(self.gain).flatten(1, 2)


def for_modality(modality: str, base: Preprocessing) -> InputNormalisation:
    """The module that makes a modality's input fit weights which expect `base`.

    Input: (N, C, H, W) uint8 or float on the 0..255 scale, in RGB order; differences in
    -255..255. Output, float (N, C, H, W):

    - rgb: `base` itself, in its colour order.
    - flow, warped_flow: (v - 128) * scale / (mean of the three std), so that zero motion becomes
      exactly 0. On the 0..255 scale this is mean 128 (tsn-pytorch's BN-Inception), on 0..1 mean
      128/255, tsn-pytorch's .5 up to quantisation, with the mean of the RGB std as there.
    - rgb_diff: d * scale / std in the weights' colour order; no mean, because a difference of
      frames has lost it already.

    Weights that were trained on flow or differences may say otherwise (`flow_mean`, `flow_std`,
    `difference_std`).

    Raises:
        UserError: unknown modality.
    """
    check_modality(modality)
    if modality in FLOW_MODALITIES:
        std = sum(base.std) / 3 if base.flow_std is None else base.flow_std
        gain = torch.tensor([base.scale / std])
        return InputNormalisation([0], torch.tensor([base.flow_mean]), gain)
    order = [0, 1, 2] if base.colour == "RGB" else [2, 1, 0]
    if modality == "rgb":
        mean = torch.tensor(base.mean) / base.scale
        return InputNormalisation(order, mean, base.scale / torch.tensor(base.std))
    gain = base.scale / torch.tensor(base.difference_std or base.std)
    return InputNormalisation(order, torch.zeros(3), gain)


def preprocessing_from(state: Mapping[str, torch.Tensor], modality: str) -> Preprocessing:
    """What made an `InputNormalisation` of this state: the inverse of `for_modality`.

    Args:
        state: its `order`, `mean` and `gain`.
        modality: the one that it was made for; the result is of no use for the others.
    """
    mean = state["mean"].flatten()
    std = 1 / state["gain"].flatten()
    if modality in FLOW_MODALITIES:
        unused = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        return Preprocessing("RGB", 1.0, *unused, flow_mean=mean.item(), flow_std=std.item())
    colour: Literal["RGB", "BGR"] = "RGB" if state["order"].tolist() == [0, 1, 2] else "BGR"
    return Preprocessing(colour, 1.0, tuple(mean.tolist()), tuple(std.tolist()))
