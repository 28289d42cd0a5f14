"""BN-Inception, in the Caffe layout that the TSN paper starts from.

Source: Ioffe & Szegedy 2015, and the public Caffe model as converted to PyTorch (tsn-pytorch,
pretrainedmodels), which is wider than the article's table in 4c (608 channels out) and 4e (1056).
Layers are named as in the converted files, so that those load by name.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional

BN_EPS = 1e-5
BN_MOMENTUM = 0.1
"""Caffe's moving average of .9, in torch's meaning (converted models that say .9 misread it)."""

FEATURES = 1024


class Block(NamedTuple):
    """One Inception block: four branches over one input, joined along the channels.

    A block that ends a stage (`point` is 0) has stride 2, no 1x1 branch, and passes its pooled
    input on without projection (`projection` is 0).
    """

    name: str
    point: int
    reduce: int
    single: int
    double_reduce: int
    double: int
    pool: Literal["avg", "max"]
    projection: int

    @property
    def stride(self) -> int:
        """2 where the block halves height and width, else 1."""
        return 1 if self.point else 2

    def channels(self, inputs: int) -> int:
        """Channels that leave the block, when `inputs` enter it."""
        return self.point + self.single + self.double + (self.projection or inputs)


BLOCKS = (
    Block("3a", 64, 64, 64, 64, 96, "avg", 32),
    Block("3b", 64, 64, 96, 64, 96, "avg", 64),
    Block("3c", 0, 128, 160, 64, 96, "max", 0),
    Block("4a", 224, 64, 96, 96, 128, "avg", 128),
    Block("4b", 192, 96, 128, 96, 128, "avg", 128),
    Block("4c", 160, 128, 160, 128, 160, "avg", 128),
    Block("4d", 96, 128, 192, 160, 192, "avg", 128),
    Block("4e", 0, 128, 192, 192, 256, "max", 0),
    Block("5a", 352, 192, 320, 160, 224, "avg", 128),
    Block("5b", 352, 192, 320, 192, 224, "max", 128),
)


class Unit(NamedTuple):
    """A convolution with batch normalisation and ReLU; `kernel` // 2 is its padding."""

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int = 1


def _units_of(block: Block, inputs: int) -> Iterator[Unit]:
    prefix = f"inception_{block.name}_"
    if block.point:
        yield Unit(prefix + "1x1", inputs, block.point, 1)
    yield Unit(prefix + "3x3_reduce", inputs, block.reduce, 1)
    yield Unit(prefix + "3x3", block.reduce, block.single, 3, block.stride)
    yield Unit(prefix + "double_3x3_reduce", inputs, block.double_reduce, 1)
    yield Unit(prefix + "double_3x3_1", block.double_reduce, block.double, 3)
    yield Unit(prefix + "double_3x3_2", block.double, block.double, 3, block.stride)
    if block.projection:
        yield Unit(prefix + "pool_proj", inputs, block.projection, 1)


def _halve(x: torch.Tensor) -> torch.Tensor:
    return functional.max_pool2d(x, 3, 2, ceil_mode=True)


class BNInception(nn.Module):
    """The network: (N, 3, H, W) float -> (N, num_classes) scores; 1024 features before them."""

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self._add(Unit("conv1_7x7_s2", 3, 64, 7, 2))
        self._add(Unit("conv2_3x3_reduce", 64, 64, 1))
        self._add(Unit("conv2_3x3", 64, 192, 3))
        channels = 192
        for block in BLOCKS:
            for unit in _units_of(block, channels):
                self._add(unit)
            channels = block.channels(channels)
        self.last_linear = nn.Linear(FEATURES, num_classes)

    def _add(self, unit: Unit) -> None:
        conv = nn.Conv2d(unit.inputs, unit.outputs, unit.kernel, unit.stride, unit.kernel // 2)
        self.add_module(unit.name, conv)
        self.add_module(
            unit.name + "_bn", nn.BatchNorm2d(unit.outputs, eps=BN_EPS, momentum=BN_MOMENTUM)
        )

    def _apply_unit(self, name: str, x: torch.Tensor) -> torch.Tensor:
        conv, norm = getattr(self, name), getattr(self, name + "_bn")
        return functional.relu(norm(conv(x)), inplace=True)

    def stem(self, x: torch.Tensor) -> torch.Tensor:
        """The layers before the blocks: (N, 3, 224, 224) -> (N, 192, 28, 28)."""
        x = _halve(self._apply_unit("conv1_7x7_s2", x))
        x = self._apply_unit("conv2_3x3_reduce", x)
        return _halve(self._apply_unit("conv2_3x3", x))

    def block(self, block: Block, x: torch.Tensor) -> torch.Tensor:
        """One block of BLOCKS, on the output of the one before it."""

        def chain(y: torch.Tensor, *names: str) -> torch.Tensor:
            for name in names:
                y = self._apply_unit(f"inception_{block.name}_{name}", y)
            return y

        branches = [chain(x, "1x1")] if block.point else []
        branches.append(chain(x, "3x3_reduce", "3x3"))
        branches.append(chain(x, "double_3x3_reduce", "double_3x3_1", "double_3x3_2"))
        if block.stride == 2:
            branches.append(_halve(x))
        elif block.pool == "max":
            branches.append(chain(functional.max_pool2d(x, 3, 1, 1), "pool_proj"))
        else:
            # Caffe divides by 9 at the border too, as torch does by default.
            branches.append(chain(functional.avg_pool2d(x, 3, 1, 1), "pool_proj"))
        return torch.cat(branches, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score normalised images (N, 3, H, W) float, H and W multiples of 32.

        Where a block halves an odd size, Caffe's convolutions round up and its pools down, and
        the branches no longer fit; multiples of 32 avoid that. The mean over all positions stands
        for Caffe's 7 x 7 pool, which is the same at 224 px.
        """
        x = self.stem(x)
        for block in BLOCKS:
            x = self.block(block, x)
        return self.last_linear(x.mean((2, 3)))
