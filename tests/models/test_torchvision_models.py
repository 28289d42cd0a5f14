"""Every family of torchvision's classification models as a backbone of flow."""

import pytest
import torch
from torch import nn

from tsn.models.adapt import adapt_first_conv, first_conv
from tsn.models.backbones import build_backbone
from tsn.models.names import torchvision_names

pytestmark = pytest.mark.slow

FAMILIES = (
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_s",
    "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small",
    "resnet18", "resnext50_32x4d", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "swin_v2_t",
    "vgg11_bn", "vit_b_32", "wide_resnet50_2",
)  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_takes_flow_and_gives_features(name):
    # Tensors of the meta device have shapes and no values: nothing is drawn, nothing computed.
    with torch.device("meta"):
        backbone = build_backbone(name, "none")
        adapt_first_conv(backbone.net, 10, cross_modality=True)
        features = backbone.net.eval()(torch.zeros(1, 10, 224, 224))
    assert features.shape == (1, backbone.features)
    assert first_conv(backbone.net).in_channels == 10


def test_regnet_takes_flow_and_gives_features():
    # It computes its widths with tensors, which the meta device cannot.
    backbone = build_backbone("regnet_y_400mf", "none")
    adapt_first_conv(backbone.net, 10, cross_modality=True)
    with torch.inference_mode():
        features = backbone.net.eval()(torch.zeros(1, 10, 64, 64))
    assert features.shape == (1, backbone.features)


def test_no_family_is_left_out():
    tested = (*FAMILIES, "regnet_y_400mf")
    stems = {name.rstrip("0123456789").partition("_")[0].rstrip("0123456789") for name in tested}
    for name in torchvision_names():
        assert name.partition("_")[0].rstrip("0123456789") in stems, name


@pytest.mark.parametrize(("name", "inner"), [("alexnet", 2), ("vgg11_bn", 1), ("resnet18", 0)])
def test_dropout_between_hidden_layers_stays(name, inner):
    # Krizhevsky et al. 2012, Simonyan & Zisserman 2015: .5 after fc6 (and fc7, which is TSN's).
    with torch.device("meta"):
        modules = build_backbone(name, "none").net.modules()
        rates = [module.p for module in modules if isinstance(module, nn.Dropout)]
    assert rates == [0.5] * inner
