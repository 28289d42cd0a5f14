"""The network of the two-stream ConvNets, against the published description of CNN-M-2048."""

import pytest
import torch
from torch import nn

from tsn.models.backbones import build_backbone
from tsn.models.clarifai import Clarifai


@pytest.fixture(scope="module")
def net():
    with torch.device("meta"):
        return Clarifai()


def test_layers_have_the_published_shapes(net):
    # Chatfield et al. 2014, table 1: CNN-M with fc7 of 2048; 6 x 6 x 512 values enter fc6.
    expected = {
        "conv1": (96, 3, 7, 7), "conv2": (256, 96, 5, 5), "conv3": (512, 256, 3, 3),
        "conv4": (512, 512, 3, 3), "conv5": (512, 512, 3, 3), "fc6": (4096, 18432),
        "fc7": (2048, 4096), "fc8": (1000, 2048),
    }  # fmt: skip
    weights = {k.removesuffix(".weight"): v for k, v in net.state_dict().items() if "bias" not in k}
    assert {name: tuple(value.shape) for name, value in weights.items()} == expected


def test_maps_have_caffes_sizes(net):
    # For 224 px: 109 after conv1, ceil-mode pools to 54, 13 and 6 around conv2's 26.
    sizes = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            hook = lambda _, args, out, name=name: sizes.update({name: (args[0].shape, out.shape)})  # noqa: E731
            module.register_forward_hook(hook)
    net(torch.zeros(1, 3, 224, 224, device="meta"))
    sides = {name: (given[-1], made[-1]) for name, (given, made) in sizes.items()}
    assert sides["conv1"] == (224, 109)
    assert sides["conv2"] == (54, 26)
    assert sides["conv3"] == sides["conv5"] == (13, 13)
    assert sides["fc6"] == (18432, 4096)


def test_the_response_normalisation_is_caffes(net):
    # x / (k + alpha / n * sum over n channels of x^2)^beta, n 5, k 2, alpha 5e-4, beta .75.
    x = torch.zeros(1, 7, 1, 1)
    x[0, 3] = 100.0
    expected = 100 / (2 + 5e-4 / 5 * 100**2) ** 0.75
    assert net.norm(x)[0, 3].item() == pytest.approx(expected)


def test_tsn_takes_the_place_of_the_last_dropout_only():
    with torch.device("meta"):
        backbone = build_backbone("clarifai", "none")
    assert backbone.features == 2048
    assert isinstance(backbone.net.drop6, nn.Dropout)
    assert isinstance(backbone.net.drop7, nn.Identity)
