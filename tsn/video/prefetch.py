"""Prefetch several iterators in background threads with bounded queues.

Examples:
    >>> [list(part) for part in prefetch([range(2), range(3)], iter, 2)]
    [[0, 1], [0, 1, 2]]
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from queue import Queue
from typing import Generic, TypeVar

S = TypeVar("S")
T = TypeVar("T")

DEPTH = 2
"""Items of each source in the queue, at most."""


def prefetch(
    sources: Iterable[S], work: Callable[[S], Iterator[T]], count: int
) -> Generator[Iterator[T], None, None]:
    """Yield an iterator for each source, in order, while the next ones run in threads.

    Args:
        sources: arguments of `work`.
        work: yields the items of a source, in a thread of its own. Its errors are raised by the
            iterator of its source.
        count: sources that are worked on at a time; 1 runs lazily in the caller's thread.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    if count == 1:
        yield from map(work, sources)
        return
    waiting: deque[_Prefetched[S, T]] = deque()
    try:
        for source in sources:
            waiting.append(_Prefetched(work, source))
            if len(waiting) == count:
                with closing(waiting.popleft()) as first:
                    yield iter(first)
        while waiting:
            with closing(waiting.popleft()) as first:
                yield iter(first)
    finally:
        for left in waiting:
            left.close()


class _Prefetched(Generic[S, T]):
    """The items of one source; a thread works on it until the queue is full."""

    def __init__(self, work: Callable[[S], Iterator[T]], source: S) -> None:
        self._queue: Queue = Queue(DEPTH)
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work, source), daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            item, error, last = self._queue.get()
            if error is not None:
                raise error
            if last:
                return
            yield item

    def close(self) -> None:
        """Cancel the work and wait for the thread."""
        self._cancelled.set()
        while self._thread.is_alive():
            # Room for what the thread may be waiting to put.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.01)

    def _run(self, work: Callable[[S], Iterator[T]], source: S) -> None:
        try:
            for item in work(source):
                self._queue.put((item, None, False))
                if self._cancelled.is_set():
                    return
            self._queue.put((None, None, True))
        except BaseException as error:
            self._queue.put((None, error, True))
