import pytest
import torch
from torch import nn

from tsn.models.adapt import adapt_first_conv, first_conv
from tsn.models.efficientnet_lite import SameConv2d
from tsn.runtime.errors import UserError


def small_net():
    return nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), nn.Conv2d(4, 2, 1))


@pytest.mark.parametrize("channels", [10, 15])
def test_every_input_channel_gets_the_unscaled_mean_over_rgb(channels):
    net = small_net()
    old, bias = net[0][0].weight.detach().clone(), net[0][0].bias.detach().clone()
    adapt_first_conv(net, channels, cross_modality=True)
    new = first_conv(net).weight
    mean = (old[:, 0] + old[:, 1] + old[:, 2]) / 3
    assert new.shape == (4, channels, 3, 3)
    for channel in range(channels):
        assert torch.allclose(new[:, channel], mean)
    assert first_conv(net).bias.equal(bias)


def test_later_layers_keep_their_weights():
    net = small_net()
    old = net[1].weight.detach().clone()
    adapt_first_conv(net, 10, cross_modality=True)
    assert net[1].weight.equal(old)


def test_without_cross_modality_the_first_layer_is_random():
    torch.manual_seed(0)
    net = nn.Conv2d(3, 64, 7)
    adapt_first_conv(net, 10, cross_modality=False)
    assert net.weight.shape == (64, 10, 7, 7)
    # Kaiming, fan out, ReLU (He et al. 2015): std = sqrt(2 / (64 * 7 * 7)) = .02525.
    assert net.weight.std().item() == pytest.approx(0.02525, rel=0.02)
    assert not net.weight[:, 0].equal(net.weight[:, 1])
    assert not net.bias.any()


def test_the_layer_keeps_its_padding_rule_and_learns():
    net = nn.Sequential(SameConv2d(3, 2, 3, 2, bias=False))
    adapt_first_conv(net, 10, cross_modality=True)
    assert isinstance(net[0], SameConv2d)
    assert net[0].weight.requires_grad
    assert net[0].in_channels == 10
    assert net(torch.zeros(1, 10, 5, 5)).shape == (1, 2, 3, 3)


def test_transform_input_is_switched_off():
    net = nn.Sequential(nn.Conv2d(3, 2, 1))
    net.transform_input = True
    adapt_first_conv(net, 10, cross_modality=True)
    assert net.transform_input is False


def test_a_network_without_convolution_is_refused():
    with pytest.raises(UserError, match="no 2-D convolution"):
        adapt_first_conv(nn.Sequential(nn.Linear(3, 2)), 10, cross_modality=True)


def test_a_grouped_first_convolution_is_refused():
    with pytest.raises(UserError, match="grouped"):
        adapt_first_conv(nn.Sequential(nn.Conv2d(3, 3, 1, groups=3)), 10, cross_modality=True)
