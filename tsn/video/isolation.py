"""Decode videos in an isolated child process with time and memory limits.

FFmpeg parses untrusted files and may crash, hang or exhaust memory, so it runs in a child process
(`tsn.video.decoder_process`) under limits of memory and time. A child decodes many videos, one
after the other, and is replaced after a bad one. The messages:

    parent: the request, a map                      child: "shape", height, width[, 3]
            "ready", the memory has that size              "batch", frames in the next slot
            "taken", that slot is free again               "done" or "failed", status, problem
"""

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from tsn.runtime.errors import UserError
from tsn.video import MAX_SIDE, FrameSize
from tsn.video.decode import MAX_FRAMES, check_arguments
from tsn.video.errors import VideoError
from tsn.video.ipc import TOO_LITTLE_MEMORY, Channel, shared_memory
from tsn.video.live import STDIN
from tsn.video.span import Span


@dataclass(frozen=True)
class Limits:
    """Limits of one video; the defaults are several times what an 8K video needs.

    Attributes:
        memory: bytes of address space, above what the libraries themselves take.
        seconds: processor time before the first frame; each frame brings one second more.
        stall_timeout: seconds without a frame for any reason, e.g. a file system that hangs.
    """

    memory: int = 1536 << 20
    seconds: int = 60
    stall_timeout: float = 600.0


LIMITS = Limits()
LIVE = Limits(stall_timeout=15.0)
"""Of a camera or stream."""

_PROGRAM = ["-X", "faulthandler", "-m", "tsn.video.decoder_process"]

# Signals that a process brings upon itself.
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT,
            signal.SIGTRAP, signal.SIGSYS}  # fmt: skip

_idle: list["_Decoder"] = []
_idle_lock = threading.Lock()  # several threads may each read a video
os.register_at_fork(after_in_child=_idle.clear)  # a forked process has no use for its parent's


def read_frames(
    path: str | os.PathLike,
    size: FrameSize | None = (340, 256),
    colour: Literal["rgb", "grey"] = "rgb",
    max_frames: int = MAX_FRAMES,
    limits: Limits = LIMITS,
    span: Span | None = None,
) -> Iterator[np.ndarray]:
    """Decode a video as `tsn.video.decode.read_frames` does, in a process of its own.

    Arguments, frames and errors are the same. Besides, a decoder that crashes ends in the status
    "crashed", one above its time in "timed_out", one above its memory in "too_big".

    Raises:
        VideoError: the file is bad; possibly after some frames.
        UserError: something else than the video ended the decoder: a system out of memory.
        ValueError: an argument is out of range (raised at once, not at the first frame).
    """
    check_arguments(size, colour, max_frames)
    request = {"path": os.fspath(path), "work": "frames", "size": size, "colour": colour}
    bounds = span and astuple(span)
    return _frames(Path(path), {**request, "max_frames": max_frames, "span": bounds}, limits)


def probe(
    path: str | os.PathLike, limits: Limits = LIMITS, count: bool = True
) -> tuple[int, Fraction]:
    """Packet count and frame rate of a video: `tsn.video.decode.probe`, isolated.

    Raises:
        VideoError: the file cannot be read.
    """
    with _decoder(Path(path), limits) as channel:
        channel.send({"path": os.fspath(path), "work": "probe", "count": count})
        _, packets, *rate = _receive(channel, Path(path))
    return packets, Fraction(*rate)


def read_live(source: str, size: FrameSize, limits: Limits = LIVE) -> Iterator[np.ndarray]:
    """Decode a camera, stream or pipe: `tsn.video.live.read_live`, isolated.

    Raises:
        VideoError: there is no such source, it breaks off, or it falls silent.
    """
    request = {"path": source, "work": "live", "size": size}
    stdin = None if source == STDIN else subprocess.DEVNULL
    try:
        yield from _frames(source, request, limits, stdin)
    except VideoError as error:
        if error.status != "timed_out":
            raise
        problem = f"sends nothing for {limits.stall_timeout:.0f} s"
        raise VideoError("disconnected", source, problem) from None


def _frames(
    path: Path | str, request: dict, limits: Limits, stdin: int | None = subprocess.DEVNULL
) -> Iterator[np.ndarray]:
    with _decoder(path, limits, stdin) as channel:
        channel.send(request)
        _, *shape = _receive(channel, path)
        if not 0 < min(shape) <= max(shape) <= MAX_SIDE:
            raise RuntimeError(f"{path}: the decoder process announces frames of shape {shape}")
        slots = channel.slots(tuple(shape), resize=True)
        channel.send("ready")
        for slot in itertools.cycle(slots):
            word, *count = _receive(channel, path)
            if word == "done":
                return
            batch = slot[: count[0]].copy()
            channel.send("taken")
            yield from batch


def _receive(channel: Channel, path: Path | str) -> list:
    """The next message, unless it reports a failure.

    Raises:
        VideoError: the video cannot be decoded.
    """
    message = channel.receive()
    if message[0] == "failed":
        raise VideoError(message[1], path, message[2])
    return message


@contextmanager
def _decoder(
    path: Path | str, limits: Limits, stdin: int | None = subprocess.DEVNULL
) -> Iterator[Channel]:
    """Channel to a decoder process for one video; its failures become errors of that video."""
    with _idle_lock:
        ready = [process for process in _idle if process.limits == limits]
        if ready:
            _idle.remove(ready[0])
    process = ready[0] if ready else _Decoder(limits, stdin)
    reusable = False
    try:
        yield process.channel
        reusable = True
    except VideoError as error:
        # What damage does to a decoder's memory must not reach the next video.
        reusable = error.status in ("missing", "empty")
        raise
    except TimeoutError:
        problem = f"stalls the decoder for {limits.stall_timeout:.0f} s"
        raise VideoError("timed_out", path, problem) from None
    except (EOFError, ConnectionError):
        raise _cause(process.wait(), path, limits) from None
    finally:
        if reusable:
            _idle.append(process)
        else:
            process.end()


class _Decoder:
    """A decoder process and the channel to it."""

    def __init__(self, limits: Limits, stdin: int | None):
        ours, theirs = socket.socketpair()
        ours.settimeout(limits.stall_timeout)
        memory = shared_memory()
        self.limits = limits
        self.channel = Channel(ours, memory)
        package = str(Path(__file__).parents[2])
        path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        handles = (theirs.fileno(), memory)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *_PROGRAM, *map(str, (*handles, limits.memory, limits.seconds))],
                stdin=stdin,
                pass_fds=handles,
                env={**os.environ, "PYTHONPATH": path},
            )

    def wait(self) -> int:
        """The exit status, as of subprocess, of a process that has closed its channel."""
        return self._process.wait()

    def end(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()
        self.channel.close()


def _cause(status: int, path: Path | str, limits: Limits) -> UserError:
    """The error for a decoder process that ended with this exit status."""
    if status == -signal.SIGXCPU:
        return VideoError("timed_out", path, "takes the decoder more time than any video should")
    if status == TOO_LITTLE_MEMORY:
        return UserError(
            f"{path}: a limit on this shell's or job's memory (ulimit -v) leaves the decoder less "
            f"than the {limits.memory >> 20} MB that a video may need; raise it"
        )
    name = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    if status < 0 and -status not in _CRASHES:
        return UserError(
            f"{path}: its decoder was ended from outside ({name}), as by a system that is out of "
            "memory; run again, with more memory or fewer jobs at a time"
        )
    return VideoError("crashed", path, f"crashes the decoder ({name})")
