"""Uploaded videos, classified one at a time in a thread of its own."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue

from tsn.predict.ensemble import Advance
from tsn.runtime.errors import UserError


@dataclass(frozen=True)
class Limits:
    """What is accepted.

    Attributes:
        bytes: of a file.
        seconds: of work on one video.
        waiting: videos in the queue.
        unseen: seconds without a question about a video until it is given up, or forgotten.
    """

    bytes: int = 500_000_000
    seconds: float = 300.0
    waiting: int = 8
    unseen: float = 60.0


@dataclass
class Job:
    """A video: `state` is waiting, working, done or failed."""

    name: str
    path: Path
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"
    stage: str = ""
    fraction: float = 0.0
    result: dict | None = None
    error: str = ""
    seen: float = field(default_factory=time.monotonic)


class GivenUp(Exception):
    """Nobody waits for the video any more."""


class Jobs:
    """The queue and what became of it.

    Args:
        classify: gives the result for a video file.
        limits: of time and number.
    """

    def __init__(self, classify: Callable[[str, Advance], dict], limits: Limits):
        self._classify, self._limits = classify, limits
        self._jobs: dict[str, Job] = {}
        self._queue: Queue[Job] = Queue()
        threading.Thread(target=self._work, daemon=True).start()

    def add(self, name: str, path: Path) -> Job:
        """Queue a video; its file is removed when it is done with."""
        job = Job(name, path)
        self._jobs[job.id] = job
        self._queue.put(job)
        return job

    @property
    def full(self) -> bool:
        """Whether no further video is accepted."""
        jobs = list(self._jobs.values())
        return sum(job.state == "waiting" for job in jobs) >= self._limits.waiting

    def look(self, key: str) -> dict | None:
        """What is known of a video; None: it is forgotten, or never was."""
        now = time.monotonic()
        for other in list(self._jobs.values()):
            if other.state in ("done", "failed") and now - other.seen > self._limits.unseen:
                self._jobs.pop(other.id, None)
        job = self._jobs.get(key)
        if job is None:
            return None
        job.seen = now
        known = list(self._jobs.values())
        queue = [other.id for other in known if other.state in ("working", "waiting")]
        return {
            "id": job.id,
            "name": job.name,
            "state": job.state,
            "before": queue.index(job.id) if job.id in queue else 0,
            "stage": job.stage,
            "fraction": round(job.fraction, 3),
            "result": job.result,
            "error": job.error,
        }

    def drop(self, key: str) -> bool:
        """Forget a video; work on it ends."""
        job = self._jobs.pop(key, None)
        if job is not None:
            job.seen = float("-inf")
        return job is not None

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            try:
                self._run(job)
            except GivenUp:
                self._jobs.pop(job.id, None)
            except (UserError, OSError) as error:
                job.state, job.error = "failed", str(error).replace(str(job.path), job.name)
            except Exception as error:  # the page goes on
                job.state, job.error = "failed", f"{type(error).__name__}: {error}"
            finally:
                job.path.unlink(missing_ok=True)

    def _run(self, job: Job) -> None:
        start = time.monotonic()

        def advance(stage: str, fraction: float) -> None:
            job.stage, job.fraction = stage, fraction
            now = time.monotonic()
            if now - job.seen > self._limits.unseen:
                raise GivenUp
            if now - start > self._limits.seconds:
                raise UserError(
                    f"{job.name}: took longer than {self._limits.seconds:g} s; give a shorter video"
                )

        advance("", 0.0)
        job.state = "working"
        job.result = self._classify(str(job.path), advance)
        job.state = "done"
