"""Constant batch normalisation, computed by the convolution in front of it."""

import copy
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from tsn.models.backbones import build_backbone
from tsn.models.fold import fold_batch_norm
from tsn.models.partial_bn import freeze_batch_norm

needs_timm = pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")


def randomise(net: nn.Module) -> nn.Module:
    """Statistics and affine parameters as after a training, in double precision."""
    torch.manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.3, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.bias, -0.3, 0.3)
    return net.double()


def passed(net: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Output, gradients and buffers after a training pass with partial BN."""
    net.train()
    freeze_batch_norm(net)
    torch.manual_seed(2)
    output = net(x)
    output.square().mean().backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    return {"output": output, **gradients, **dict(net.named_buffers())}


@pytest.mark.parametrize(
    ("name", "side", "folded"),
    [
        ("efficientnet_lite0", 32, 49),
        ("bn_inception", 64, 69),
        ("resnet18", 32, 20),
        ("shufflenet_v2_x0_5", 32, 56),
        ("densenet121", 32, 59),  # the other 62 normalise a concatenation
        pytest.param("timm:resnetv2_50", 32, 32, marks=needs_timm),  # 17 normalise a sum
        pytest.param("timm:mobilenetv3_small_050", 32, 34, marks=needs_timm),  # BatchNormAct2d
    ],
)
def test_a_folded_network_trains_and_tests_alike(name, side, folded):
    plain = build_backbone(name, "none").net
    for layer in plain.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    net = copy.deepcopy(plain)
    assert fold_batch_norm(net, 3, side) == folded
    plain, net = randomise(plain), randomise(net)
    x = torch.randn(2, 3, side, side, dtype=torch.double)
    with torch.inference_mode():
        assert torch.allclose(net.eval()(x), plain.eval()(x), rtol=1e-9, atol=1e-9)
    expected, found = passed(plain, x), passed(net, x)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.allclose(found[key], value, rtol=1e-7, atol=1e-9), key
    assert net.state_dict().keys() == plain.state_dict().keys()


class Shortcut(nn.Module):
    """The output of the convolution goes to the normalisation, and around it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        y = self.conv(x)
        return y + self.norm(y)


def test_a_convolution_whose_output_goes_elsewhere_too_is_left_alone():
    assert fold_batch_norm(Shortcut(), 3, 8) == 0


class Shared(nn.Module):
    """One convolution before two normalisations, and one normalisation after two convolutions."""

    def __init__(self):
        super().__init__()
        self.one, self.other, self.again = (nn.Conv2d(3, 3, 1) for _ in range(3))
        self.first, self.second, self.third = (nn.BatchNorm2d(3) for _ in range(3))

    def forward(self, x):
        x = self.second(self.one(self.first(self.one(x)).relu()))
        return self.third(self.again(self.third(self.other(x)).relu()).relu())


def test_layers_that_are_passed_twice_are_left_alone():
    net = randomise(Shared()).eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.double)
    expected = net(x)
    assert fold_batch_norm(net, 3, 8) == 0
    assert torch.equal(net(x), expected)


def test_a_layer_that_learns_is_computed_as_ever():
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    net = copy.deepcopy(plain)
    assert fold_batch_norm(net, 3, 8) == 1
    x = torch.randn(2, 3, 8, 8)
    for module in (plain, net):
        module.train()(x).sum().backward()
    assert torch.equal(net[1].running_mean, plain[1].running_mean)
    assert torch.equal(net[1].weight.grad, plain[1].weight.grad)


def test_a_folded_network_is_compiled_alike():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    fold_batch_norm(net, 3, 8)
    randomise(net).eval()
    x = torch.randn(2, 3, 8, 8, dtype=torch.double)
    with torch.no_grad():
        compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
        assert torch.allclose(compiled(x), net(x), rtol=1e-9)
