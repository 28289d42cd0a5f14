"""What is in front of a camera now: one line a second from a rolling window."""

import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tsn.predict.ensemble import Ensemble
from tsn.predict.streams import Clip
from tsn.video.errors import VideoError
from tsn.video.isolation import read_live
from tsn.video.live import STDIN

LONGEST_PAUSE = 30.0
"""Seconds between two attempts to open a stream that broke off; they start at 1 and double."""


@dataclass(frozen=True)
class Moment:
    """Probabilities of the classes, (C,), and the seconds since the newest frame in them."""

    probabilities: np.ndarray
    latency: float


def watch(ensemble: Ensemble, source: str, window: float, every: float = 1.0) -> Iterator[Moment]:
    """Score what a camera or stream shows, until it ends (standard input) or for ever.

    A source that breaks off is opened again and again; scores are averaged over the last `window`
    seconds of what there was.

    Args:
        ensemble: the networks. Warped flow is computed without a search for overlays.
        source: see `tsn.video.live.read_live`.
        window: in seconds.
        every: seconds between two moments; more where scoring takes longer.

    Raises:
        VideoError: the source cannot be opened the first time.
    """
    recent: deque[tuple[float, np.ndarray]] = deque()
    opened, pause = False, 1.0
    while True:
        latest = _Latest(source, ensemble)
        due = time.monotonic()
        while (found := latest.after(due)) is not None:
            opened, pause = True, 1.0
            arrived, frames = found
            due = time.monotonic() + every
            clip = Clip(ensemble.streams, len(frames))
            clip.frames = dict(enumerate(frames))
            scores = ensemble.score_clip(clip, [0])
            means = {modality: crops[0].mean(0).cpu().numpy() for modality, crops in scores.items()}
            recent.append((arrived, ensemble.fuse(means)))
            while recent[0][0] < arrived - window:
                recent.popleft()
            fused = np.mean([scores for _, scores in recent], axis=0)
            latency = time.monotonic() - arrived
            yield Moment(ensemble.to_probabilities(fused), latency)
        if source == STDIN and latest.error is None:
            return
        error = latest.error or VideoError("disconnected", source, "ended")
        if not opened:
            raise error
        print(f"{error}; trying again in {pause:.0f} s", file=sys.stderr, flush=True)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


class _Latest:
    """Reads a source in a thread, so that the frames that are scored are never old ones."""

    def __init__(self, source: str, ensemble: Ensemble):
        self.error: VideoError | None = None
        self._longest = ensemble.longest
        self._frames: deque[np.ndarray] = deque(maxlen=self._longest)
        self._arrived, self._new, self._ended = 0.0, 0, False
        self._changed = threading.Condition()
        work = threading.Thread(target=self._read, args=(source, ensemble), daemon=True)
        work.start()

    def after(self, due: float) -> tuple[float, list[np.ndarray]] | None:
        """The last frames, once that time has come and all are new; None after the end.

        Returns:
            When the newest one arrived (`time.monotonic`), and as many frames as a snippet has.
        """
        with self._changed:
            while not (self._new >= self._longest and self._arrived >= due):
                if self._ended:
                    return None
                self._changed.wait()
            self._new = 0
            return self._arrived, list(self._frames)

    def _read(self, source: str, ensemble: Ensemble) -> None:
        try:
            for frame in read_live(source, ensemble.streams.size):
                with self._changed:
                    self._frames.append(frame)
                    self._arrived = time.monotonic()
                    self._new += 1
                    self._changed.notify()
        except VideoError as error:
            self.error = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()
