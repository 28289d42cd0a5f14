"""The order in which videos are trained on, as micro-batches for each process."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler


class MicroBatches(Sampler):
    """The items (draw, number) of every micro-batch of one process, iteration after iteration.

    An iteration is one optimiser step over `batch_size` videos, cut into micro-batches that fit the
    memory; each epoch has an order of its own and may end in a smaller batch. All of it follows
    from the seed, so that a run can go on from any iteration. Draws of a video are numbered: by the
    epoch where an epoch has every video once.

    Ranks take micro-batches round-robin: rank r of w has the micro-batches r, r + w, r + 2w, … of
    an iteration. A rank without one gets a dummy batch, the batch's first video, with zero loss
    weight.

    Args:
        count: videos of an epoch.
        batch_size: videos of an iteration.
        micro_batch: videos at a time.
        seed: seed of the orders.
        iterations: which ones to run through, e.g. range(120, 500) after a resume at 120.
        rank: of this process.
        world_size: number of processes.
        classes: the numbers of the videos of each class, where an epoch has every class equally
            often (see `balanced_order`); None where it has every video once.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        micro_batch: int,
        seed: int,
        iterations: range,
        rank: int = 0,
        world_size: int = 1,
        classes: list[np.ndarray] | None = None,
    ):
        self._classes = classes
        self._count, self._batch, self._micro = count, batch_size, micro_batch
        self._seed, self._iterations = seed, iterations
        self._rank, self._world_size = rank, world_size
        self.per_epoch = -(-count // batch_size)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        ordered, items = -1, np.empty((0, 2), np.int64)
        for iteration in self._iterations:
            epoch, position = divmod(iteration, self.per_epoch)
            if epoch != ordered:
                ordered, items = epoch, self._items(epoch)
            batch = items[position * self._batch : (position + 1) * self._batch]
            for number in self.local_micro_batches(iteration) or [None]:
                chosen = batch[:1]
                if number is not None:
                    chosen = batch[number * self._micro : (number + 1) * self._micro]
                yield [(int(draw), int(video)) for draw, video in chosen]

    def _items(self, epoch: int) -> np.ndarray:
        """All items of an epoch in their order, int64 (count, 2)."""
        rng = np.random.default_rng([self._seed, epoch])
        if self._classes is None:
            order, draws = rng.permutation(self._count), np.full(self._count, epoch)
        else:
            order, turns = balanced_order(self._classes, self._count, rng)
            draws = epoch * self._count + turns
        return np.stack([draws, order], axis=1)

    def batch_size(self, iteration: int) -> int:
        """How many videos the batch of an iteration has."""
        return min(self._batch, self._count - iteration % self.per_epoch * self._batch)

    def num_micro_batches(self, iteration: int) -> int:
        """How many micro-batches the batch of an iteration has."""
        return -(-self.batch_size(iteration) // self._micro)

    def local_micro_batches(self, iteration: int) -> range:
        """The numbers of this rank's micro-batches; empty if it only gets a dummy batch."""
        return range(self._rank, self.num_micro_batches(iteration), self._world_size)


def balanced_order(
    classes: list[np.ndarray], count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw videos so that every class comes equally often, give or take one.

    The videos of a class come in turn: one is drawn again when all of its class have been.

    Args:
        classes: the numbers of the videos of each class; none is empty.
        count: how many to draw.
        rng: chooses the order, and who is drawn once more than others.

    Returns:
        int64 (count,), the numbers; and for each the number of its draws before it, from 0.

    Examples:
        >>> classes = [np.array([0, 1, 2]), np.array([3])]
        >>> order, turns = balanced_order(classes, 4, np.random.default_rng(1))
        >>> sorted(zip(order.tolist(), turns.tolist()))
        [(0, 0), (1, 0), (3, 0), (3, 1)]
    """
    quotas = np.full(len(classes), count // len(classes))
    quotas[rng.permutation(len(classes))[: count % len(classes)]] += 1
    drawn = [np.resize(rng.permutation(c), n) for c, n in zip(classes, quotas, strict=True)]
    order = rng.permutation(np.concatenate(drawn))
    ranks = np.argsort(order, kind="stable")
    turns = np.empty_like(order)
    turns[ranks] = np.arange(count) - np.searchsorted(order[ranks], order[ranks])
    return order, turns
