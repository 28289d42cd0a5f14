"""Cross-modality initialisation: a network for RGB images takes flow or RGB differences."""

import torch
from torch import nn

from tsn.runtime.errors import UserError


def first_conv(net: nn.Module) -> nn.Conv2d:
    """The first convolution of `net`, in order of definition.

    Raises:
        UserError: the network has none.
    """
    conv = net.get_submodule(first_conv_name(net))
    assert isinstance(conv, nn.Conv2d)
    return conv


def first_conv_name(net: nn.Module) -> str:
    """The name of the first convolution of `net`, in order of definition.

    Raises:
        UserError: the network has none.
    """
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            return name
    raise UserError(f"{type(net).__name__} has no 2-D convolution: use another backbone")


@torch.no_grad()
def adapt_first_conv(net: nn.Module, channels: int, cross_modality: bool) -> None:
    """Give the first convolution of `net` `channels` inputs, in place.

    Only for modalities other than rgb: three channels would be averaged like any other number.
    `transform_input` (torchvision's GoogLeNet and Inception), which recolours three channels, is
    switched off.

    Args:
        net: any network whose first nn.Conv2d sees the input, ungrouped.
        channels: number of input channels, 2 L or 3 L.
        cross_modality: True: every input channel gets the mean of the old weights over their
            input channels, without rescaling; the bias stays (Wang et al. 2016, section 3.2;
            tsn-pytorch). False: Kaiming-normal weights (fan out, ReLU) from torch's global
            generator, and zero bias.

    Raises:
        UserError: the network has no convolution, or its first one is grouped.
    """
    conv = first_conv(net)
    if conv.groups != 1:
        raise UserError(f"the first convolution of {type(net).__name__} is grouped: use another")
    old = conv.weight
    # The layer is changed rather than replaced: its class may carry its own padding rule.
    new = old.mean(1, keepdim=True).repeat(1, channels, 1, 1)
    if not cross_modality:
        nn.init.kaiming_normal_(new, mode="fan_out", nonlinearity="relu")
        if conv.bias is not None:
            conv.bias.zero_()
    conv.in_channels = channels
    conv.weight = nn.Parameter(new, requires_grad=old.requires_grad)
    if getattr(net, "transform_input", False):
        setattr(net, "transform_input", False)  # noqa: B010 - a plain attribute, no module
