"""The interface of flow engines, and how the pairs of a clip are spread over threads."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

T = TypeVar("T")

Array: TypeAlias = Any
"""A NumPy array; for engines that run on a GPU, a torch tensor on it as well."""


class Engine(Protocol):
    """Computes flow of validated frames: C-contiguous uint8 or float32 on the 0..255 scale.

    Attributes:
        implementation: Name of the code that computes, for fingerprints.
        version: Its version; the same name and version give the same flow.
    """

    implementation: str
    version: str

    def sequence(self, frames: Array) -> Array:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W), T >= 2."""

    def pairs(self, first: Array, second: Array) -> Array:
        """Return the flow (N, 2, H, W) from first to second (N, H, W), N >= 1."""


@runtime_checkable
class QuantisingEngine(Protocol):
    """An engine that quantises where it computes, so that fewer bytes leave a GPU."""

    def quantised(self, frames: Array, bound: float, step: int = 1) -> tuple[Array, float]:
        """Return the flow between frames `step` apart as bytes, and the clipped fraction."""


class ForkSafePool:
    """Threads that a forked process starts anew: those of its parent do not exist there."""

    def __init__(self, threads: int, name: str) -> None:
        self._create = partial(ThreadPoolExecutor, threads, name)
        self._pid, self._pool = os.getpid(), self._create()

    def __call__(self) -> ThreadPoolExecutor:
        """The pool of this process."""
        if self._pid != os.getpid():
            self._pid, self._pool = os.getpid(), self._create()
        return self._pool


class Workers:
    """Threads that process runs of consecutive pairs, each with a state of its own.

    Args:
        threads: Number of threads; 1 works in the caller's.
        chunk: Most pairs in a run.
    """

    def __init__(self, threads: int, chunk: int) -> None:
        self._threads = threads
        self._chunk = chunk
        self._pool = ForkSafePool(threads, "flow") if threads > 1 else None
        self._states = threading.local()

    def state(self, key: object, create: Callable[[], T]) -> T:
        """Return this thread's state for `key`, created anew when the last one had another key."""
        if getattr(self._states, "key", None) != key:
            self._states.value = create()
            self._states.key = key
        return self._states.value

    def run(self, count: int, work: Callable[[int, int], None]) -> None:
        """Call work(begin, end) until every pair of 0..count-1 is done; re-raise its errors."""
        chunk = max(1, min(self._chunk, -(-count // self._threads)))
        bounds = [(begin, min(begin + chunk, count)) for begin in range(0, count, chunk)]
        if self._pool is None:
            for begin, end in bounds:
                work(begin, end)
            return
        pool = self._pool()
        for task in [pool.submit(work, *bound) for bound in bounds]:
            task.result()
