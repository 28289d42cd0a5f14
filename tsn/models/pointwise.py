"""Convolutions of 1 x 1 pixels in training on a CPU: their gradients as products of matrices.

PyTorch hands them to oneDNN, which takes up to half as long again where images are small.
"""

from typing import Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from tsn.models.depthwise import trains_on_cpu


def can_replace(conv: nn.Conv2d, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether `pointwise_conv2d` computes a convolution: in training, on a CPU, channels last."""
    return (
        conv.kernel_size == conv.stride == (1, 1)
        and conv.padding == (0, 0)
        and conv.groups == 1
        and trains_on_cpu(conv, x, weight)
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def pointwise_conv2d(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
) -> torch.Tensor:
    """As `torch.nn.functional.conv2d`: (N, C, H, W), channels last, and (D, C, 1, 1), (D,)."""
    return _PointwiseConv2d.apply(x, weight, bias)


class _PointwiseConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return torch.conv2d(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        rows = gradient.permute(0, 2, 3, 1).flatten(0, 2)
        of_x = of_bias = None
        if ctx.needs_input_grad[0]:
            of_x = rows.mm(weight.flatten(1)).view_as(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        of_weight = rows.t().mm(x.permute(0, 2, 3, 1).flatten(0, 2)).view_as(weight)
        if ctx.needs_input_grad[2]:
            of_bias = rows.sum(0)
        return of_x, of_weight, of_bias
