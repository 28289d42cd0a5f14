"""A training step on the CPU: what each measure of ours saves, against plain PyTorch.

python benchmarks/training_cpu.py [--rounds 7] [NETWORK:SIDE …]

For each network, optimiser steps of `--videos` videos x 3 segments of noise, channels_last, with
partial BN, on one thread. The variants take turns, round by round, so that a busy machine slows all
of them alike; printed is the median process time in ms an image, and its ratio to plain PyTorch:

- plain: `use_deterministic_algorithms` as PyTorch has it, which fills new tensors with NaN, every
  SAME convolution padded by a copy, and batch normalisation computed by layers of its own.
- ours: new tensors unfilled, padding left to the convolution, constant batch normalisation folded
  into it, and the blocks of EfficientNet-Lite0 computed by `tsn.models.bottleneck`.
"""

import argparse
import time
import warnings
from functools import partial
from statistics import median

import torch
from torch.nn import functional

from tsn.models import efficientnet_lite
from tsn.models.depthwise import can_replace
from tsn.models.efficientnet_lite import Relu6Depthwise, SameConv2d
from tsn.models.fold import fold_batch_norm
from tsn.models.network import TSN
from tsn.training.device import prepare

NETWORKS = ("efficientnet_lite0:112", "efficientnet_lite0:224", "resnet50:224", "bn_inception:224")
SEGMENTS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS, metavar="NETWORK:SIDE")
    parser.add_argument("--videos", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    prepare(1)
    warnings.simplefilter("ignore")  # partial BN on random weights
    print("network | plain, ms an image | ours | ratio of medians")
    for name in options.networks:
        backbone, side = name.split(":")
        plain, ours = measure(backbone, int(side), options.videos, options.rounds)
        print(f"{name} px | {plain:.1f} | {ours:.1f} | {plain / ours:.2f}", flush=True)


def measure(backbone: str, side: int, videos: int, rounds: int) -> tuple[float, float]:
    """Median ms an image of both variants."""
    steps = [Step(backbone, side, videos, plain=True), Step(backbone, side, videos, plain=False)]
    times: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        for step, taken in zip(steps, times, strict=True):
            start = time.process_time()
            step()
            taken.append(time.process_time() - start)
    plain, ours = (1000 * median(taken[1:]) / (videos * SEGMENTS) for taken in times)
    return plain, ours


class Step:
    """A network and an optimiser step of it."""

    def __init__(self, backbone: str, side: int, videos: int, plain: bool):
        torch.manual_seed(0)
        network = TSN(101, "rgb", backbone, "none", SEGMENTS)
        if plain:
            for module in network.modules():
                if isinstance(module, SameConv2d):
                    module._conv_forward = partial(padded, module)
        else:
            fold_batch_norm(network.net, 3, side)
        self._plain = plain
        self._network = network.to(memory_format=torch.channels_last).train()
        trained = [p for p in network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.SGD(trained, 1e-4, 0.9)
        self._clips = torch.randint(0, 256, (videos, SEGMENTS, 3, side, side), dtype=torch.uint8)
        self._labels = torch.arange(videos)

    def __call__(self) -> None:
        torch.utils.deterministic.fill_uninitialized_memory = self._plain
        efficientnet_lite.can_replace = (lambda *_: False) if self._plain else can_replace
        self._optimiser.zero_grad(set_to_none=True)
        functional.cross_entropy(self._network(self._clips), self._labels).backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 20)
        self._optimiser.step()


def padded(conv, x, weight, bias):
    """The same convolution of an image that is padded before it, whatever the padding is."""
    if isinstance(conv, Relu6Depthwise):
        x = functional.relu6(x)
    rows, columns = conv._padding(x)
    x = functional.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
    return functional.conv2d(x, weight, bias, conv.stride, 0, conv.dilation, conv.groups)


if __name__ == "__main__":
    main()
