"""Partial batch normalisation: all BN layers but the first keep their pretrained values."""

import torch
from torch import nn

BatchNorm = nn.modules.batchnorm._BatchNorm


def batch_norms_after_first(net: nn.Module) -> list[BatchNorm]:
    """The batch normalisation layers of `net` in order of definition, without the first one.

    The first one stays free because the input's distribution is new to the network, most of all
    in flow (Wang et al. 2016, section 3.2).
    """
    return [module for module in net.modules() if isinstance(module, BatchNorm)][1:]


def freeze_batch_norm(net: nn.Module) -> None:
    """Freeze running statistics, weight and bias of all BN layers of `net` but the first.

    `train()` thaws the statistics, so this must follow every call of it; `TSN.train` does that.
    """
    for layer in batch_norms_after_first(net):
        layer.eval()
        for parameter in layer.parameters():
            parameter.requires_grad = False


def has_untrained_statistics(net: nn.Module) -> bool:
    """Whether a BN layer after the first one still has its initial statistics, mean 0, variance 1.

    Frozen, such a layer normalises nothing: the sign of partial BN on a random network.
    """
    return any(
        layer.running_mean is not None
        and layer.running_var is not None
        and not layer.running_mean.any()
        and bool(torch.all(layer.running_var == 1))
        for layer in batch_norms_after_first(net)
    )
