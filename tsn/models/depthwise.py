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
from torch import nn
from torch.autograd.function import once_differentiable

from tsn.runtime.caches import compiling, ensure_numba_cache


def trains_on_cpu(layer: nn.Module, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a layer is in training on a CPU, step by step, in the type of its weights.

    In evaluation mode it is PyTorch's, with hooks and second derivatives, as attributions need.
    """
    return (
        layer.training
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and x.device.type == "cpu"
        and x.dtype == weight.dtype
        and not torch.is_autocast_enabled("cpu")
    )


def can_replace(layer: nn.Module, x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether `relu6_depthwise` computes a convolution: in training, on a CPU, in fp32.

    Its kernels must be 3 x 3 or 5 x 5, and its channels a multiple of 16.
    """
    return (
        trains_on_cpu(layer, x, weight)
        and x.dtype == torch.float32
        and weight.shape[-1] in (3, 5)
        and len(weight) % 16 == 0
    )


def relu6_depthwise(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: int,
    above: int,
    left: int,
) -> torch.Tensor:
    """Convolve each channel of relu6(x): (N, C, H, W) to (N, C, ceil(H / stride), …).

    Args:
        x: float32 (N, C, H, W).
        weight: (C, 1, k, k).
        bias: (C,).
        stride: of both sides.
        above: rows of padding above; what lacks below and to the right is added.
        left: columns of padding to the left.
    """
    if bias is None:
        bias = weight.new_zeros(len(weight))
    return _Relu6Depthwise.apply(x, weight, bias, (stride, above, left))


class _Relu6Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        place: tuple[int, int, int],
    ) -> torch.Tensor:
        x, kernel = channels_last(x), kernel_of(weight)
        # No view of another tensor: what comes next may change it in place.
        result = empty(x, *output_shape(x, place[0]))
        convolve(x, kernel, bias, channels_last(result), False, place)
        ctx.save_for_backward(x, kernel)
        ctx.place = place
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, kernel = ctx.saved_tensors
        gradient = channels_last(gradient)
        of_x, of_kernel = torch.empty_like(x), torch.zeros_like(kernel)
        add_gradients(x, kernel, gradient, gradient, of_x, of_kernel, False, ctx.place)
        of_bias = gradient.sum((0, 1, 2)) if ctx.needs_input_grad[2] else None
        return of_x.permute(0, 3, 1, 2), weight_of(of_kernel), of_bias, None


def channels_last(x: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) as (N, H, W, C), contiguous: a view where it can be, otherwise a copy."""
    return x.detach().permute(0, 2, 3, 1).contiguous()


def empty(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """A tensor (N, C, H, W) in channels_last, of the type of another one."""
    # Not of PyTorch's default type and device, which a program may have changed.
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )


def kernel_of(weight: torch.Tensor) -> torch.Tensor:
    """(C, 1, k, k) as (k, k, C), contiguous."""
    return weight.detach()[:, 0].permute(1, 2, 0).contiguous()


def weight_of(kernel: torch.Tensor) -> torch.Tensor:
    """(k, k, C) as (C, 1, k, k)."""
    return kernel.permute(2, 0, 1).unsqueeze(1)


def output_shape(x: torch.Tensor, stride: int) -> tuple[int, int, int, int]:
    """(N, C, ceil(H / stride), ceil(W / stride)) for x (N, H, W, C)."""
    images, rows, columns, channels = x.shape
    return images, channels, -(-rows // stride), -(-columns // stride)


def convolve(
    x: torch.Tensor,
    kernel: torch.Tensor,
    bias: torch.Tensor,
    out: torch.Tensor,
    clamp: bool,
    place: tuple[int, int, int],
) -> None:
    """Write the convolution of relu6(x) to `out`.

    Args:
        x: (N, H, W, C).
        kernel: (k, k, C).
        bias: (C,).
        out: (N, h, w, C).
        clamp: whether relu6 follows the convolution, too.
        place: stride, rows of padding above, columns of it to the left.
    """
    arrays = [array.detach().numpy() for array in (x, kernel, bias, out)]
    _for_each(lambda *part: _kernels().convolve(*arrays, clamp, *place, *part), len(bias))


def add_gradients(
    x: torch.Tensor,
    kernel: torch.Tensor,
    out: torch.Tensor,
    gradient: torch.Tensor,
    of_x: torch.Tensor,
    of_kernel: torch.Tensor,
    clamp: bool,
    place: tuple[int, int, int],
) -> None:
    """Write the gradient of x to `of_x`, and add that of the kernel to `of_kernel`.

    Args:
        x: (N, H, W, C).
        kernel: (k, k, C).
        out: (N, h, w, C), of `convolve`; looked at only with `clamp`.
        gradient: (N, h, w, C), of `out`.
        of_x: (N, H, W, C).
        of_kernel: (k, k, C).
        clamp: as in `convolve`.
        place: as in `convolve`.
    """
    arrays = [array.numpy() for array in (x, kernel, out, gradient, of_x, of_kernel)]
    _for_each(
        lambda *part: _kernels().add_gradients(*arrays, clamp, *place, *part), kernel.shape[-1]
    )


def _for_each(compute: Callable[[int, int], None], channels: int) -> None:
    """Divide the channels among the threads that PyTorch has; the result is the same."""
    threads = torch.get_num_threads()
    if threads == 1:
        compute(0, channels)
        return
    lanes = _kernels().LANES
    bounds = [channels // lanes * n // threads * lanes for n in range(threads + 1)]
    for _ in _pool(threads).map(compute, bounds[:-1], bounds[1:]):
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
