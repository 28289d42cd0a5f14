"""Our depthwise convolution and its gradients against PyTorch's."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, pad, relu6

from tsn.models.depthwise import can_replace, relu6_depthwise


def plainly(x, weight, bias, stride, above, left):
    """The same in PyTorch, with more padding below and to the right than is needed."""
    side = weight.shape[-1]
    image = pad(relu6(x), (left, side, above, side))
    rows, columns = (-(-size // stride) for size in x.shape[2:])
    return conv2d(image, weight, bias, stride, groups=len(weight))[..., :rows, :columns]


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride", "padding"),
    [
        (48, (7, 7), 5, 1, (2, 2)),
        (16, (9, 8), 5, 2, (2, 1)),
        (16, (4, 6), 3, 2, (0, 0)),
        (32, (2, 2), 5, 1, (2, 2)),  # the image is smaller than the kernel
    ],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("threads", [1, 2])
def test_output_and_gradients_are_those_of_pytorch(
    channels, size, kernel, stride, padding, layout, threads, monkeypatch
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    torch.manual_seed(0)
    values = (
        torch.randn(5, channels, *size) * 4 + 2,
        torch.randn(channels, 1, kernel, kernel),
        torch.randn(channels),
    )
    results = []
    for convolve in (plainly, relu6_depthwise):
        x, weight, bias = (value.clone().requires_grad_() for value in values)
        y = convolve(x.to(memory_format=layout), weight, bias, stride, *padding)
        y.square().sum().backward()
        results.append((y, x.grad, weight.grad, bias.grad))
    for expected, found in zip(*results, strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-3)


def test_a_value_that_is_no_number_is_not_hidden():
    x = torch.full((1, 16, 4, 4), torch.nan, requires_grad=True)
    y = relu6_depthwise(x, torch.ones(16, 1, 3, 3), None, 1, 1, 1)
    y.sum().backward()
    assert y.isnan().all()


def test_only_what_is_trained_on_a_cpu_in_single_precision_is_replaced():
    x, weight = torch.ones(1, 16, 8, 8), torch.ones(16, 1, 5, 5, requires_grad=True)
    layer = nn.Identity()
    assert can_replace(layer, x, weight)
    assert not can_replace(layer, x, weight.detach())
    assert not can_replace(layer, x.double(), weight)
    assert not can_replace(layer, x, torch.ones(16, 1, 7, 7, requires_grad=True))
    assert not can_replace(layer, x[:, :8], torch.ones(8, 1, 5, 5, requires_grad=True))
    with torch.no_grad():
        assert not can_replace(layer, x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_replace(layer, x, weight)
    assert not can_replace(layer.eval(), x, weight)
