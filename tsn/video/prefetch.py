"""Work that runs ahead of the one who waits for it, in threads, within bounds of memory.

>>> [list(part) for part in each_ahead([range(2), range(3)], iter, 2)]
[[0, 1], [0, 1, 2]]
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from queue import Queue
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

DEPTH = 2
"""Items that are ready and waiting, at most, of each source."""


def each_ahead(
    sources: Iterable[S], work: Callable[[S], Iterator[T]], count: int
) -> Iterator[Iterator[T]]:
    """Yield what `work` makes of each source, in order, while the next ones are being worked on.

    Args:
        sources: What to work on.
        work: Makes the items of a source; called in a thread of its own. What it raises comes
            out of the iterator of its source.
        count: Sources worked on at a time; 1 works in the caller's thread, when asked.
    """
    if count == 1:
        yield from map(work, sources)
        return
    waiting: deque[_Ahead[T]] = deque()
    try:
        for source in sources:
            waiting.append(_Ahead(work, source))
            if len(waiting) == count:
                with closing(waiting.popleft()) as first:
                    yield iter(first)
        while waiting:
            with closing(waiting.popleft()) as first:
                yield iter(first)
    finally:
        for left in waiting:
            left.close()


class _Ahead(Iterable[T]):
    """One source, worked on in a thread until its items have filled the queue."""

    def __init__(self, work: Callable[[S], Iterator[T]], source: S) -> None:
        self._queue: Queue = Queue(DEPTH)
        self._unwanted = threading.Event()
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
        """End the work, if need be before its end."""
        self._unwanted.set()
        while self._thread.is_alive():
            # Room for what the thread may be waiting to put.
            while not self._queue.empty():
                self._queue.get_nowait()
            self._thread.join(0.01)

    def _run(self, work: Callable[[S], Iterator[T]], source: S) -> None:
        try:
            for item in work(source):
                self._queue.put((item, None, False))
                if self._unwanted.is_set():
                    return
            self._queue.put((None, None, True))
        except BaseException as error:
            self._queue.put((None, error, True))
