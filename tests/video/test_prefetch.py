import threading

import pytest

from tsn.video.prefetch import DEPTH, prefetch


@pytest.mark.parametrize("count", [1, 2, 5])
def test_every_source_gives_its_items_in_order(count):
    made = [list(items) for items in prefetch(range(4), range, count)]
    assert made == [[], [0], [0, 1], [0, 1, 2]]


@pytest.mark.parametrize("count", [1, 3])
def test_an_error_comes_out_of_its_own_source_and_the_others_go_on(count):
    def work(source):
        yield source
        if source == 1:
            raise ValueError("source 1")

    seen, failed = [], []
    for items in prefetch(range(3), work, count):
        try:
            seen.extend(items)
        except ValueError as error:
            failed.append(str(error))
    assert (seen, failed) == ([0, 1, 2], ["source 1"])


def test_the_next_source_is_worked_on_while_the_first_is_still_in_hand():
    begun = threading.Event()

    def work(source):
        if source == 1:
            begun.set()
        yield source

    first = next(prefetch(range(3), work, 2))
    assert begun.wait(10)
    assert list(first) == [0]


def test_no_source_runs_further_ahead_than_its_queue():
    made = []

    def work(source):
        for item in range(100):
            made.append(item)
            yield item

    parts = prefetch([0, 1], work, 2)
    items = next(parts)
    for _ in range(3):
        next(items)
    parts.close()
    # Both queues full, an item in the hand of each thread, and the three that were taken.
    assert len(made) <= 2 * (DEPTH + 2) + 3


def test_threads_end_when_nobody_wants_the_rest():
    before = threading.active_count()
    parts = prefetch(range(8), lambda _: iter(range(1000)), 4)
    next(parts)
    parts.close()
    assert threading.active_count() == before


def test_at_least_one_source_is_worked_on():
    with pytest.raises(ValueError, match="at least 1"):
        next(prefetch([0], range, 0))
