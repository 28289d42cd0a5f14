"""Depthwise convolution on the CPU, with a gradient of the weights of our own.

oneDNN, which PyTorch calls, has a fast one for 3 x 3 kernels only: with 5 x 5 it takes ten times as
long as the convolution itself, and longer where the image is smaller than the kernel.
"""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tsn.runtime.caches import compiling, ensure_numba_cache


def can_replace(
    x: torch.Tensor, weight: torch.Tensor, groups: int, dilation: tuple[int, ...]
) -> bool:
    """Whether `depthwise_conv2d` computes this convolution, and a gradient is asked for."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.compiler.is_compiling()
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and groups == x.shape[1] == weight.shape[0]
        and weight.shape[2] == weight.shape[3] > 3
        and dilation == (1, 1)
    )


def depthwise_conv2d(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    padding: tuple[int, int],
) -> torch.Tensor:
    """As `torch.nn.functional.conv2d` with as many groups as channels: (N, C, H, W) float32.

    Args:
        x: images.
        weight: (C, 1, k, k).
        bias: (C,).
        stride: of both sides.
        padding: rows above and below, columns left and right.
    """
    return _DepthwiseConv2d.apply(x, weight, bias, stride, padding)


class _DepthwiseConv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: int,
        padding: tuple[int, int],
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return torch.conv2d(x, weight, bias, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor, torch.Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        channels = len(weight)
        wanted = [ctx.needs_input_grad[0], False, ctx.needs_input_grad[2]]
        of_x, _, of_bias = torch.ops.aten.convolution_backward(
            gradient, x, weight, [channels], [ctx.stride] * 2, ctx.padding, [1, 1],
            False, [0, 0], channels, wanted,
        )  # fmt: skip
        of_weight = weight.new_empty(*weight.shape[2:], channels)
        _kernel()(_rows(x), _rows(gradient), of_weight.numpy(), ctx.stride, *ctx.padding)
        return of_x, of_weight.permute(2, 0, 1).unsqueeze(1), of_bias, None, None


def _rows(x: torch.Tensor) -> Any:
    """A NumPy view or copy with channels last, (N, H, W, C)."""
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


@cache
def _kernel() -> Any:
    package = Path(__file__).parent
    ensure_numba_cache(package)
    with compiling(package):
        from tsn.models.depthwise_kernel import weight_gradient
    return weight_gradient
