"""Several micro-batches in one pass of the network, with the results that each would have alone.

A GPU needs hardly longer for a pass of 128 videos than for one of 16. What looks at more than one
image, batch normalisation in training, and what draws random numbers, dropout, is applied to each
micro-batch by itself; all else treats images one by one anyway. The sums of the gradients are
rounded differently.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import nn

from tsn.models.partial_bn import BatchNorm
from tsn.training.device import seed_step
from tsn.training.distributed import RunningStatistics

DRAWS_RANDOM_NUMBERS = {"_DropoutNd", "StochasticDepth", "DropPath"}
"""Classes of torch, torchvision and timm, which may not be installed."""


class SharedPass:
    """Lets the micro-batches of a step share passes of the network.

    Args:
        network: in training mode; its forward passes outside of `of` stay what they are.
        statistics: takes the running statistics of every micro-batch.

    Attributes:
        at_once: how many micro-batches share a pass.
    """

    def __init__(self, network: nn.Module, statistics: RunningStatistics):
        self.at_once = 1
        self._statistics = statistics
        self._images: list[int] = []
        self._states: list[torch.Tensor] = []
        for module in network.modules():
            if isinstance(module, BatchNorm):
                if module.training:
                    forward = partial(self._normalise, module, module.forward)
                    module.forward = forward  # type: ignore[method-assign]
            elif DRAWS_RANDOM_NUMBERS & {kind.__name__ for kind in type(module).__mro__}:
                module.forward = partial(self._draw, module.forward)

    @contextmanager
    def of(
        self, images: list[int], seed: int, iteration: int, numbers: Sequence[int]
    ) -> Iterator[None]:
        """The network's next pass is that of these micro-batches.

        Args:
            images: how many each of them has, in the order in which they are concatenated.
            seed: of the job.
            iteration: the optimiser step.
            numbers: of the micro-batches within the step, see `seed_step`.
        """
        if len(images) == 1:
            seed_step(seed, iteration, numbers[0])
            yield
            self._statistics.record()
            return
        self._images = images
        for number in numbers:
            seed_step(seed, iteration, number)
            self._states.append(_random_state())
        yield
        self._images, self._states = [], []
        self._statistics.record_seen()

    def _normalise(self, layer: BatchNorm, forward: Callable, x: torch.Tensor) -> torch.Tensor:
        if not self._images:
            return forward(x)
        parts = []
        for number, part in enumerate(self._split(x)):
            parts.append(forward(part))
            self._statistics.see(layer, number)
        return torch.cat(parts)

    def _draw(self, forward: Callable, x: torch.Tensor) -> torch.Tensor:
        if not self._images:
            return forward(x)
        parts = []
        for number, part in enumerate(self._split(x)):
            _set_random_state(self._states[number])
            parts.append(forward(part))
            self._states[number] = _random_state()
        return torch.cat(parts)

    def _split(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The part of each micro-batch; transformers have several rows an image, as windows."""
        rows = len(x) // sum(self._images)
        return x.split([rows * images for images in self._images])


def _random_state() -> torch.Tensor:
    return torch.cuda.get_rng_state() if torch.cuda.is_available() else torch.get_rng_state()


def _set_random_state(state: torch.Tensor) -> None:
    (torch.cuda.set_rng_state if torch.cuda.is_available() else torch.set_rng_state)(state)
