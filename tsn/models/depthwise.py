"""Depthwise convolution of relu6(x) in training on a CPU, with kernels of our own.

PyTorch's takes three passes over the activations forward and four backward, and oneDNN's gradient
of kernels other than 3 x 3 ten times as long as the convolution. Here it is one and one.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tsn.runtime.caches import compiling, ensure_numba_cache

IMAGES = 4
"""Images a thread takes at a time; the result does not depend on how many threads there are."""


def trains_on_cpu(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a layer is in training on a CPU, step by step, in the type of its weights."""
    return (
        torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and x.device.type == "cpu"
        and x.dtype == weight.dtype
        and not torch.is_autocast_enabled("cpu")
    )


def can_replace(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether `relu6_depthwise` computes a convolution: in training, on a CPU, in fp32."""
    return trains_on_cpu(x, weight) and x.dtype == torch.float32


def relu6_depthwise(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    padding: tuple[int, int],
) -> torch.Tensor:
    """Convolve each channel of relu6(x): (N, C, H, W) to (N, C, ceil(H / stride), …).

    Args:
        x: float32 (N, C, H, W).
        weight: (C, 1, k, k).
        bias: (C,).
        stride: of both sides.
        padding: rows above, columns left; what lacks below and to the right is added.
    """
    if bias is None:
        bias = weight.new_zeros(len(weight))
    return _Relu6Depthwise.apply(x, weight, bias, stride, padding)


class _Relu6Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        stride: int,
        padding: tuple[int, int],
    ) -> torch.Tensor:
        x, kernel = _channels_last(x), weight[:, 0].permute(1, 2, 0).contiguous()
        ctx.save_for_backward(x, kernel)
        ctx.place = stride, *padding
        images, rows, columns, channels = x.shape
        shape = images, channels, -(-rows // stride), -(-columns // stride)
        # No view of another tensor: what comes next may change it in place.
        result = torch.empty(shape, memory_format=torch.channels_last)
        out = result.permute(0, 2, 3, 1)

        def convolve(part: slice) -> None:
            arrays = (x[part], kernel, bias, out[part])
            _kernels().convolve(*(a.detach().numpy() for a in arrays), *ctx.place)

        _for_each(convolve, images)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        gradient = _channels_last(gradient)
        of_x = torch.empty_like(x)
        of_kernel = kernel.new_empty(-(-len(x) // IMAGES), *kernel.shape)

        def gradients(part: slice) -> None:
            arrays = (x[part], kernel, gradient[part], of_x[part], of_kernel[part.start // IMAGES])
            _kernels().gradients(*(a.numpy() for a in arrays), *ctx.place)

        _for_each(gradients, len(x))
        of_weight = of_kernel.sum(0).permute(2, 0, 1).unsqueeze(1)
        of_bias = gradient.sum((0, 1, 2)) if ctx.needs_input_grad[2] else None
        return of_x.permute(0, 3, 1, 2), of_weight, of_bias, None, None


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    """A view or copy, (N, H, W, C), contiguous."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def _for_each(compute: Callable[[slice], None], images: int) -> None:
    """Compute parts of a batch, with the threads that PyTorch has."""
    parts = [slice(first, first + IMAGES) for first in range(0, images, IMAGES)]
    threads = torch.get_num_threads()
    for _ in map(compute, parts) if threads == 1 else _pool(threads).map(compute, parts):
        pass


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


@cache
def _kernels() -> Any:
    package = Path(__file__).parent
    ensure_numba_cache(package)
    with compiling(package):
        from tsn.models import depthwise_kernel
    return depthwise_kernel
