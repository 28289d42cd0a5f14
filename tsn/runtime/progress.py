"""Progress of long work: a bar on a terminal, plain lines with rate and ETA in a log."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
Advance = Callable[[int], object]
"""Called with a number of items when they are done."""

INTERVAL = 15.0
"""Seconds between two lines in a log."""

logger = logging.getLogger("tsn.runtime.progress")


def track(items: Iterable[T], total: int, unit: str, what: str) -> Iterator[T]:
    """Yield the items and report progress.

    Args:
        items: what to go through.
        total: how many there are.
        unit: plural name of an item, e.g. "videos".
        what: what is being done, e.g. "flow".
    """
    with progress(total, unit, what) as advance:
        for item in items:
            yield item
            advance(1)


@contextmanager
def progress(total: int, unit: str, what: str) -> Iterator[Advance]:
    """Yield a function to call with the number of items that are done; arguments as in `track`."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit=f" {unit}", desc=what) as bar:
            yield bar.update
        return
    meter = Meter(total, unit, what)
    yield meter.advance
    meter.finish()


class Meter:
    """Counts finished items and writes a line every `INTERVAL` seconds."""

    def __init__(self, total: int, unit: str, what: str, done: int = 0):
        self._total, self._unit, self._what = total, unit, what
        self._first, self._done = done, done
        self._start = self._last = time.monotonic()

    def advance(self, count: int = 1, note: str = "") -> None:
        """`count` more items are done; `note` is appended to the line."""
        self._done += count
        now = time.monotonic()
        if now - self._last >= INTERVAL:
            self._last = now
            rate = (self._done - self._first) / (now - self._start)
            left = duration(max(self._total - self._done, 0) / rate)
            done = f"{self._done}/{self._total} {self._unit}"
            logger.info("%s: %s, %.3g/s, ETA %s%s", self._what, done, rate, left, note)

    def finish(self) -> None:
        """Log the total time."""
        seconds = time.monotonic() - self._start
        rate = (self._done - self._first) / seconds if seconds > 0 else 0.0
        logger.info(
            "%s: %d %s in %s (%.3g/s)", self._what, self._done, self._unit, duration(seconds), rate
        )


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss.

    Examples:
        >>> duration(3725)
        '1:02:05'
    """
    minutes, second = divmod(round(seconds), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}"
