"""Our gradients of 1 x 1 convolutions against PyTorch's."""

import pytest
import torch
from torch import nn

from tsn.models.pointwise import can_replace, pointwise_conv2d


@pytest.mark.parametrize(("images", "with_bias"), [(2, True), (2, False), (0, True)])
def test_output_and_gradients_are_those_of_pytorch(images, with_bias):
    torch.manual_seed(0)
    values = torch.randn(images, 3, 4, 5), torch.randn(6, 3, 1, 1), torch.randn(6)
    results = []
    for convolve in (torch.conv2d, pointwise_conv2d):
        x, weight, bias = (value.clone().requires_grad_() for value in values)
        image = x.to(memory_format=torch.channels_last)
        y = convolve(image, weight, bias if with_bias else None)
        y.relu_().square().sum().backward()
        results.append((y, x.grad, weight.grad, *([bias.grad] if with_bias else [])))
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_only_what_is_a_product_of_matrices_is_replaced():
    x = torch.ones(1, 4, 8, 8).to(memory_format=torch.channels_last)
    conv = nn.Conv2d(4, 4, 1)
    assert can_replace(conv, x, conv.weight)
    assert not can_replace(conv, x.contiguous(), conv.weight)
    assert not can_replace(conv, x, conv.weight.detach())
    for other in (nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, 2), nn.Conv2d(4, 4, 1, groups=2)):
        assert not can_replace(other, x, other.weight)
    with torch.no_grad():
        assert not can_replace(conv, x, conv.weight)
    assert not can_replace(conv.eval(), x, conv.weight)
