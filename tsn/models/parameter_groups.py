"""Learning-rate and weight-decay multipliers of each parameter, as in the authors' Caffe nets."""

from torch import nn

from tsn.models.adapt import first_conv
from tsn.models.modality import FLOW_MODALITIES, check_modality
from tsn.models.partial_bn import BatchNorm

_NORMALISATIONS = (BatchNorm, nn.LayerNorm, nn.GroupNorm)

_MULTIPLIERS = {
    "first_conv_weight": (5.0, 1.0),
    "first_conv_bias": (10.0, 0.0),
    "weight": (1.0, 1.0),
    "bias": (2.0, 0.0),
    "other": (1.0, 0.0),
}
"""Group: (learning rate, weight decay). Source: the prototxt files of
temporal-segment-networks; tsn-pytorch."""


def parameter_groups(
    model: nn.Module, modality: str, lr: float, weight_decay: float
) -> list[dict[str, object]]:
    """Split the trainable parameters of `model` into groups for a torch.optim optimizer.

    - weight: lr, decay.
    - bias: 2 lr, no decay.
    - other: lr, no decay: weights and biases of normalisation layers (with partial BN only the
      first BN is trainable), and what is neither weight nor bias of a layer: consensus weights,
      layer scales, tokens, position tables.
    - first_conv_weight, first_conv_bias: 5 lr with decay, 10 lr without, for flow and warped_flow
      only; for other modalities the first convolution is like any other.

    Args:
        model: a TSN, or any network with a convolution.
        modality: one of MODALITIES.
        lr: base learning rate.
        weight_decay: base weight decay.

    Returns:
        Dicts with name, params, lr, weight_decay, lr_multiplier; each parameter that requires a
        gradient is in exactly one of them, and no group is empty.

    Raises:
        UserError: unknown modality, or a network without convolution.
    """
    check_modality(modality)
    first = first_conv(model) if modality in FLOW_MODALITIES else None
    groups: dict[str, list[nn.Parameter]] = {name: [] for name in _MULTIPLIERS}
    seen: set[nn.Parameter] = set()
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.requires_grad and parameter not in seen:
                seen.add(parameter)
                kind = _kind(module, name)
                groups[f"first_conv_{kind}" if module is first else kind].append(parameter)
    return [
        {
            "name": name,
            "params": groups[name],
            "lr": lr * lr_multiplier,
            "weight_decay": weight_decay * decay_multiplier,
            "lr_multiplier": lr_multiplier,
        }
        for name, (lr_multiplier, decay_multiplier) in _MULTIPLIERS.items()
        if groups[name]
    ]


def _kind(module: nn.Module, name: str) -> str:
    if isinstance(module, _NORMALISATIONS):
        return "other"
    # nn.MultiheadAttention has in_proj_weight and in_proj_bias.
    if name == "bias" or name.endswith("_bias"):
        return "bias"
    return "weight" if name == "weight" or name.endswith("_weight") else "other"
