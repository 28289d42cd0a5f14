"""A whole inverted bottleneck in training on a CPU: a few images at a time, within the cache.

The activations between its convolutions are six times as large as its input. Layer by layer, a
batch of them goes to the memory and comes back each time, which takes longer than to compute them.
"""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from tsn.models.depthwise import (
    add_gradients,
    channels_last,
    convolve,
    empty,
    kernel_of,
    output_shape,
    weight_of,
)

CACHED = 1 << 19
"""Activations of the widest layer that are computed at a time, 2 MB; of one image at least."""

Layer = tuple[torch.Tensor, torch.Tensor]
"""Weight (out, in, k, k) and bias (out,) of a convolution; the bias gets no gradient."""


def inverted_bottleneck(
    x: torch.Tensor,
    expand: Layer | None,
    depthwise: Layer,
    project: Layer,
    place: tuple[int, int, int],
    residual: bool,
) -> torch.Tensor:
    """Compute project(relu6(depthwise(relu6(expand(x))))), float32, and add x if `residual`.

    Args:
        x: (N, C, H, W).
        expand: 1 x 1; None: the activation is that of x.
        depthwise: k x k, see `tsn.models.depthwise.can_replace`.
        project: 1 x 1.
        place: the depthwise convolution's stride, rows of padding above, columns of it left.
        residual: whether x is added to the result, which then has its shape.

    Returns:
        (N, D, ceil(H / stride), ceil(W / stride)).
    """
    layers = *(expand or (None, None)), *depthwise, *project
    return _InvertedBottleneck.apply(x, *layers, place, residual)


class _InvertedBottleneck(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        expand: torch.Tensor | None,
        expand_bias: torch.Tensor | None,
        depthwise: torch.Tensor,
        depthwise_bias: torch.Tensor,
        project: torch.Tensor,
        project_bias: torch.Tensor,
        place: tuple[int, int, int],
        residual: bool,
    ) -> torch.Tensor:
        x, kernel = channels_last(x), kernel_of(depthwise)
        wide = x if expand is None else x.new_empty(*x.shape[:3], len(depthwise))
        images, width, *size = output_shape(wide, place[0])
        filtered = x.new_empty(images, *size, width)
        # No view of another tensor: what comes next may change it in place.
        result = empty(x, images, len(project), *size)
        for part in _parts(wide):
            out = channels_last(result[part])
            if expand is not None and expand_bias is not None:
                _convolve(x[part], expand, expand_bias, wide[part])
            convolve(wide[part], kernel, depthwise_bias, filtered[part], True, place)
            _convolve(filtered[part], project, project_bias, out)
            if residual:
                out += x[part]
        ctx.save_for_backward(x, expand, kernel, project, wide, filtered)
        ctx.place, ctx.residual = place, residual
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, expand, kernel, project, wide, filtered = ctx.saved_tensors
        gradient, of_x = channels_last(gradient), torch.empty_like(x)
        of_kernel, of_project = torch.zeros_like(kernel), torch.zeros_like(project)
        of_expand = None if expand is None else torch.zeros_like(expand)
        for part in _parts(wide):
            out, of_out = filtered[part], torch.empty_like(filtered[part])
            _add_gradients(out, project, gradient[part], of_out, of_project)
            of_wide = of_x[part] if expand is None else torch.empty_like(wide[part])
            add_gradients(wide[part], kernel, out, of_out, of_wide, of_kernel, True, ctx.place)
            if of_expand is not None:
                _add_gradients(x[part], expand, of_wide, of_x[part], of_expand)
            if ctx.residual:
                of_x[part] += gradient[part]
        of_weights = of_expand, None, weight_of(of_kernel), None, of_project, None
        return of_x.permute(0, 3, 1, 2), *of_weights, None, None


def _parts(wide: torch.Tensor) -> list[slice]:
    """The images that are computed at a time."""
    count = max(1, CACHED // wide.shape[1:].numel())
    return [slice(first, first + count) for first in range(0, len(wide), count)]


def _convolve(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """Write the convolution by 1 x 1 pixels of (N, H, W, C) to `out`, (N, H, W, D)."""
    torch.addmm(bias, x.flatten(0, 2), weight.flatten(1).t(), out=out.view(-1, len(weight)))


def _add_gradients(
    x: torch.Tensor,
    weight: torch.Tensor,
    gradient: torch.Tensor,
    of_x: torch.Tensor,
    of_weight: torch.Tensor,
) -> None:
    """Write the gradient of x to `of_x`, and add that of the weight to `of_weight`."""
    pixels = gradient.flatten(0, 2)
    torch.mm(pixels, weight.flatten(1), out=of_x.view(-1, x.shape[-1]))
    of_weight.view(len(weight), -1).addmm_(pixels.t(), x.flatten(0, 2))
