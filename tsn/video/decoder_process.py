"""The program that `tsn.video.isolation` starts: decodes the videos it is asked for, under limits.

Arguments: descriptors of the socket and of the shared memory; bytes of memory; seconds before the
first frame of a video.
"""

import itertools
import math
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tsn.video.decode import MAX_RATE, probe, read_frames
from tsn.video.errors import VideoError
from tsn.video.ipc import TOO_LITTLE_MEMORY, Channel
from tsn.video.live import read_live
from tsn.video.open_video import PausedVideos
from tsn.video.span import Span


def main(connection: str, memory: str, bytes_: str, seconds: str) -> None:
    """Serve requests until the parent closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    cv2.setNumThreads(1)
    _limit_memory(int(bytes_))
    channel = Channel(socket.socket(fileno=int(connection)), int(memory))
    paused = PausedVideos()
    try:
        while True:
            _serve(channel, channel.receive()[0], int(seconds), paused)
    except (EOFError, ConnectionError):
        pass


def _serve(channel: Channel, request: dict, seconds: int, paused: PausedVideos) -> None:
    work, path = request.pop("work"), request.pop("path")
    _limit_time(time.process_time() + seconds)
    try:
        if work == "probe":
            count, rate = probe(path, **request)
            channel.send("probe", count, *rate.as_integer_ratio())
        elif work == "live":
            # One by one: a batch would be old when it is full.
            _send_frames(channel, _timed(read_live(path, **request), seconds), 1)
        else:
            bounds = request.pop("span")
            span = Span(*bounds) if bounds else None
            if span:  # what is before it takes time, too
                seconds += int(span.start) * (MAX_RATE if span.unit == "s" else 1)
            frames = read_frames(path, span=span, paused=paused, **request)
            _send_frames(channel, _timed(frames, seconds))
    except VideoError as error:
        channel.send("failed", error.status, error.problem)


def _send_frames(channel: Channel, frames: Iterator[np.ndarray], most: int | None = None) -> None:
    """Fill the slots of the ring buffer with batches, in turn; wait until a slot is free.

    A batch has `most` frames, or as many as there is room for.
    """
    first = next(frames, None)
    if first is None:
        raise VideoError("disconnected", "", "ends before its first frame")
    channel.send("shape", *first.shape)
    channel.receive()
    slots = channel.slots(first.shape)
    frames = itertools.chain([first], frames)
    waiting = 0
    for slot in itertools.cycle(slots):
        if waiting == len(slots):
            channel.receive()
            waiting -= 1
        batch = list(itertools.islice(frames, most or len(slot)))
        if not batch:
            break
        slot[: len(batch)] = batch
        channel.send("batch", len(batch))
        waiting += 1
    channel.send("done")
    for _ in range(waiting):
        channel.receive()


def _timed(frames: Iterator[np.ndarray], seconds: float) -> Iterator[np.ndarray]:
    """Allow `seconds` for the first frame, and one more for each that follows."""
    limit = time.process_time() + seconds
    _limit_time(limit)
    for frame in frames:
        limit += 1
        _limit_time(limit)
        yield frame


def _limit_time(processor_seconds: float) -> None:
    """Die by SIGXCPU when the process has used that much time, also within FFmpeg."""
    _set_limit(resource.RLIMIT_CPU, math.ceil(processor_seconds))


def _limit_memory(bytes_: int) -> None:
    """Let allocations fail that are more than `bytes_` above what is mapped now."""
    if sys.platform != "linux":  # macOS has the limit and does not keep it
        return
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    wanted = pages * resource.getpagesize() + bytes_
    if _set_limit(resource.RLIMIT_AS, wanted) < wanted:
        sys.exit(TOO_LITTLE_MEMORY)


def _set_limit(which: int, wanted: int) -> int:
    """Set a limit, or the lower one that the shell or the cluster has set; return which."""
    _, highest = resource.getrlimit(which)
    bound = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
    resource.setrlimit(which, (bound, highest))
    return bound


if __name__ == "__main__":
    main(*sys.argv[1:])
