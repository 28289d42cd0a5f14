"""Our gradient of a depthwise convolution's weights against PyTorch's."""

import pytest
import torch
from torch.nn.functional import conv2d

from tsn.models.depthwise import can_replace, depthwise_conv2d


@pytest.mark.parametrize(
    ("channels", "side", "kernel", "stride", "padding"),
    [
        (70, 7, 5, 1, (2, 2)),  # more channels than a block has
        (3, 9, 5, 2, (2, 1)),
        (64, 4, 6, 2, (3, 3)),
        (2, 2, 5, 1, (2, 2)),  # the image is smaller than the kernel
    ],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_output_and_gradients_are_those_of_pytorch(channels, side, kernel, stride, padding, layout):
    torch.manual_seed(0)
    values = torch.randn(2, channels, side, side), torch.randn(channels, 1, kernel, kernel)
    results = []
    for ours in (False, True):
        x, weight = (value.clone().requires_grad_() for value in values)
        bias = torch.zeros(channels, requires_grad=True)
        image = x.to(memory_format=layout)
        if ours:
            y = depthwise_conv2d(image, weight, bias, stride, padding)
        else:
            y = conv2d(image, weight, bias, stride, padding, groups=channels)
        y.square().sum().backward()
        results.append((y, x.grad, weight.grad, bias.grad))
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_only_depthwise_kernels_of_more_than_three_pixels_that_are_trained_are_replaced():
    x, weight = torch.ones(1, 4, 8, 8), torch.ones(4, 1, 5, 5, requires_grad=True)
    assert can_replace(x, weight, 4, (1, 1))
    assert not can_replace(x, torch.ones(4, 1, 3, 3, requires_grad=True), 4, (1, 1))
    assert not can_replace(x, weight.detach(), 4, (1, 1))
    assert not can_replace(x, torch.ones(4, 4, 5, 5, requires_grad=True), 1, (1, 1))
    assert not can_replace(x.double(), weight, 4, (1, 1))
    with torch.no_grad():
        assert not can_replace(x, weight, 4, (1, 1))
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_replace(x, weight, 4, (1, 1))
