"""Fold frozen batch normalisation into the preceding convolution.

A layer whose statistics and affine parameters are frozen is y = s x + b with a constant s and b per
channel. Behind a convolution with weights W it needs no pass over the activations of its own:
s (W * x) + b = (s W) * x + b, with W trained as before. The results are the same up to rounding,
faster and with less memory; parameters, buffers and their names stay.
"""

from collections import Counter
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from tsn.models.pointwise import can_replace, pointwise_conv2d


def fold_batch_norm(net: nn.Module, channels: int, side: int) -> int:
    """Fold every batch normalisation layer that follows a convolution directly, in place.

    Whether a layer is constant is looked up in each pass, so that `train()`, `eval()` and partial
    BN may change it at any time.

    Args:
        net: any network on convolutions.
        channels: of its input.
        side: of its input; an image is passed once to see which layer follows which.

    Returns:
        The number of layers that were folded.
    """
    pairs = _convolutions_with_norm(net, channels, side)
    for conv, norm in pairs:
        conv._conv_forward = partial(_convolve, conv, norm)  # type: ignore[method-assign]
        norm.forward = partial(_normalise, norm)  # type: ignore[method-assign]
    return len(pairs)


@torch.no_grad()
def bake_batch_norm(net: nn.Module) -> None:
    """Put what is folded into the convolutions' weights, in place: `net` only tests from now on."""
    for conv in net.modules():
        forward = conv.__dict__.get("_conv_forward")
        if isinstance(forward, partial):
            assert isinstance(conv, nn.Conv2d)
            _, norm = forward.args
            weight, bias = folded(norm, conv)
            conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
            del conv.__dict__["_conv_forward"]
            norm.forward = partial(_activate, norm)


def is_constant(norm: nn.BatchNorm2d) -> bool:
    """Whether neither the statistics nor, where gradients are recorded, the affine may change."""
    learns = norm.weight.requires_grad or norm.bias.requires_grad
    return not norm.training and not (torch.is_grad_enabled() and learns)


def _convolve(
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
) -> torch.Tensor:
    if is_constant(norm):
        weight, bias = _folded(norm, weight, bias)
    if can_replace(conv, x, weight):
        return pointwise_conv2d(x, weight, bias)
    return type(conv)._conv_forward(conv, x, weight, bias)


def folded(norm: nn.BatchNorm2d, conv: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight and bias of a convolution that does what both layers do, `norm` being constant."""
    return _folded(norm, conv.weight, conv.bias)


def _folded(
    norm: nn.BatchNorm2d, weight: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    return weight * scale[:, None, None, None], shift if bias is None else shift + bias * scale


def _normalise(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    return _activate(norm, x) if is_constant(norm) else type(norm).forward(norm, x)


def _activate(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    if _has_activation(norm):
        return norm.get_submodule("act")(norm.get_submodule("drop")(x))
    return x


def _has_activation(norm: nn.Module) -> bool:
    """Whether it is timm's BatchNormAct2d."""
    return hasattr(norm, "act") and hasattr(norm, "drop")


def _can_fold(norm: nn.Module) -> bool:
    known = type(norm) is nn.BatchNorm2d or (
        isinstance(norm, nn.BatchNorm2d) and _has_activation(norm)
    )
    return known and bool(norm.affine) and bool(norm.track_running_stats)


def _convolutions_with_norm(
    net: nn.Module, channels: int, side: int
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions whose output goes to one batch normalisation layer and nowhere else.

    The graph of a pass that autograd records says so. Layers that are passed twice are left alone:
    what is before or after them need not be the same.
    """
    passes: Counter[nn.Module] = Counter()
    convolutions: dict[Any, nn.Conv2d] = {}
    pairs: dict[Any, tuple[nn.Conv2d, nn.BatchNorm2d]] = {}

    def after_convolution(conv: Any, _: object, output: torch.Tensor) -> None:
        passes[conv] += 1
        convolutions[output.grad_fn] = conv

    def before_norm(norm: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        passes[norm] += 1
        node = inputs[0].grad_fn
        if node in convolutions:
            pairs[node] = convolutions[node], norm

    hooks = []
    for module in net.modules():
        if type(module).forward is nn.Conv2d.forward:
            hooks.append(module.register_forward_hook(after_convolution))
        elif _can_fold(module):
            hooks.append(module.register_forward_pre_hook(before_norm))
    training = {module: module.training for module in net.modules()}
    try:
        with torch.inference_mode(False), torch.enable_grad():
            # As if nothing were trained: only the image has a gradient.
            fixed = {name: value.detach() for name, value in net.named_parameters()}
            image = next(iter(fixed.values())).new_zeros(1, channels, side, side).requires_grad_()
            output = functional_call(net.eval(), fixed, (image,))
    finally:
        for module, mode in training.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    uses = _uses(output.grad_fn)
    return [
        (conv, norm)
        for node, (conv, norm) in pairs.items()
        if uses[node] == passes[conv] == passes[norm] == 1
    ]


def _uses(root: Any) -> Counter[Any]:
    """How often each node of an autograd graph is an input of another one."""
    uses: Counter[Any] = Counter()
    waiting = [root]
    while waiting:
        for node, _ in waiting.pop().next_functions:
            uses[node] += 1
            if node is not None and uses[node] == 1:
                waiting.append(node)
    return uses
