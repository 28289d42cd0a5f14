"""The order of the training: epochs, batches, micro-batches, processes, classes."""

from collections import Counter

import numpy as np
import pytest

from tsn.data.batches import MicroBatches, balanced_order

CLASSES = [np.arange(9), np.array([9])]
"""Nine videos of one class and one of another."""


def batches(count=10, batch=4, micro=3, seed=1, iterations=range(6), classes=None):
    return MicroBatches(count, batch, micro, seed, iterations, classes=classes)


def test_every_epoch_covers_every_video_once_in_an_order_of_its_own():
    """10 videos in batches of 4: 3 iterations an epoch, the last one of 2 videos."""
    assert batches().per_epoch == 3
    items = [item for batch in batches() for item in batch]
    orders = [[number for at, number in items if at == epoch] for epoch in (0, 1)]
    assert [sorted(order) for order in orders] == [list(range(10))] * 2
    assert orders[0] != orders[1]


def test_batches_are_cut_into_micro_batches():
    assert [len(batch) for batch in batches()] == [3, 1, 3, 1, 2] * 2
    assert [batches().batch_size(iteration) for iteration in range(6)] == [4, 4, 2] * 2


@pytest.mark.parametrize("classes", [None, CLASSES])
@pytest.mark.parametrize("start", range(6))
def test_a_run_goes_on_from_any_iteration(start, classes):
    before = sum(1 if batches().batch_size(i) <= 3 else 2 for i in range(start))
    resumed = batches(iterations=range(start, 6), classes=classes)
    assert list(resumed) == list(batches(classes=classes))[before:]


def test_the_order_does_not_depend_on_the_micro_batch():
    flat = [[item for batch in batches(micro=micro) for item in batch] for micro in (1, 3, 9)]
    assert flat[0] == flat[1] == flat[2]


def test_another_seed_gives_another_order():
    assert list(batches(seed=2)) != list(batches(seed=1))


def test_a_batch_larger_than_the_data_is_one_epoch():
    assert batches(count=3, batch=8, micro=8).per_epoch == 1
    assert batches(count=3, batch=8).batch_size(5) == 3


@pytest.mark.parametrize("classes", [None, CLASSES])
@pytest.mark.parametrize("world_size", [1, 2, 3, 5])
def test_ranks_take_the_micro_batches_of_a_step_round_robin(world_size, classes):
    """In every iteration each micro-batch has one rank; a rank without one has a dummy batch."""
    single = batches(micro=2, classes=classes)
    ranks = [
        MicroBatches(10, 4, 2, 1, range(6), rank, world_size, classes) for rank in range(world_size)
    ]
    iterators = [iter(sampler) for sampler in ranks]
    expected = iter(single)
    for iteration in range(6):
        # `RunningStatistics` relies on the order.
        count = single.num_micro_batches(iteration)
        for rank, sampler in enumerate(ranks):
            local = [number for number in range(count) if number % world_size == rank]
            assert list(sampler.local_micro_batches(iteration)) == local
        whole = [next(expected) for _ in range(count)]
        found = {}
        for sampler, iterator in zip(ranks, iterators, strict=True):
            for number in sampler.local_micro_batches(iteration):
                found[number] = next(iterator)
            if not sampler.local_micro_batches(iteration):
                assert next(iterator) == whole[0][:1]
        assert [found[number] for number in range(count)] == whole


def test_balanced_epochs_have_every_class_equally_often():
    """Each video of the common class at most once; the rare one five times, each another draw."""
    items = [item for batch in batches(classes=CLASSES) for item in batch]
    for epoch in (items[:10], items[10:]):
        numbers = Counter(number for _, number in epoch)
        assert numbers[9] == 5 and set(numbers.values()) == {1, 5}
    assert len(set(items)) == 20
    assert items[:10] != items[10:]


def test_where_classes_do_not_divide_the_epoch_another_one_is_drawn_once_more():
    classes = [np.array([0, 1]), np.array([2]), np.array([3, 4])]
    counts = set()
    for seed in range(20):
        order, _ = balanced_order(classes, 7, np.random.default_rng(seed))
        counts.add(tuple(int(np.isin(order, members).sum()) for members in classes))
    assert counts == {(3, 2, 2), (2, 3, 2), (2, 2, 3)}


def test_draws_of_a_video_are_numbered_whichever_class_it_is_drawn_for():
    order, turns = balanced_order([np.array([0]), np.array([0, 1])], 8, np.random.default_rng(1))
    assert sorted(turns[order == 0].tolist()) == list(range(6))
    assert sorted(turns[order == 1].tolist()) == [0, 1]
