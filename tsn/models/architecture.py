"""An ImageNet network before it becomes a backbone: interface of the network families."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from tsn.models.preprocessing import Preprocessing
from tsn.runtime.errors import UserError


class Headless(NamedTuple):
    """A network without its classifier.

    Attributes:
        net: normalised images, float (N, 3, h, w), to features, float (N, features).
        classifiers: names that the classifier has in state dicts of the network.
        features: number of features.
    """

    net: nn.Module
    classifiers: tuple[str, ...]
    features: int


@dataclass(frozen=True)
class Architecture:
    """How a backbone is made.

    Attributes:
        build: makes the network with random weights, from torch's global generator.
        imagenet: gives the state dict of its ImageNet weights, those by the name "imagenet" or
            "imagenet_v2"; raises UserError if it cannot.
        preprocessing: the input that they expect.
    """

    build: Callable[[], Headless]
    imagenet: Callable[[str], Mapping[str, torch.Tensor]]
    preprocessing: Preprocessing


def remove_classifier(net: nn.Module, *aliases: str) -> Headless:
    """Take the classifier off: the last nn.Linear, or else (SqueezeNet) the last 1x1 convolution.

    A dropout layer right before it goes too: TSN has its own, and two would compound. Dropout
    deeper in the network stays, such as the one between the last two hidden layers of VGG.

    Args:
        net: the network; changed in place.
        aliases: further names of the classifier in published files.

    Raises:
        UserError: the network has neither.
    """
    modules = list(net.named_modules())
    linear = [i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)]
    pointwise = [
        i
        for i, (_, module) in enumerate(modules)
        if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    ]
    if not linear and not pointwise:
        raise UserError(f"{type(net).__name__} has no linear classifier: use another backbone")
    position = (linear or pointwise)[-1]
    name, layer = modules[position]
    net.set_submodule(name, nn.Identity())
    before, candidate = modules[position - 1]
    if isinstance(candidate, nn.Dropout):
        net.set_submodule(before, nn.Identity())
    features = layer.in_features if linear else layer.in_channels
    return Headless(net, (name, *aliases), features)
