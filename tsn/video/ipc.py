"""How a decoder process and its parent talk: JSON lines on a socket, arrays in shared memory.

Nothing that comes through is ever executed: no pickle.
"""

import json
import math
import mmap
import os
import socket
import sys
import tempfile

import numpy as np

SLOTS = 4
"""Batches on their way: one side fills or empties some while the other is not looking."""

BATCH_BYTES = 2 << 20
"""Of a batch of frames: 8 of 340x256 RGB, so that waking the other side costs little per frame."""

TOO_LITTLE_MEMORY = 71
"""Exit status of a decoder that the system does not give the memory it may have to use."""


def shared_memory() -> int:
    """The descriptor of memory that a child process can share: it has no name to leave behind."""
    if sys.platform == "linux":
        return os.memfd_create("tsn-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Channel:
    """One end of the line.

    Args:
        line: a connected stream socket.
        memory: descriptor of the shared memory.
    """

    def __init__(self, line: socket.socket, memory: int):
        self._line, self._memory = line, memory
        self._incoming = line.makefile("rb")
        self._shape: tuple[int, ...] = ()
        self._slots = np.empty(0, np.uint8)

    def send(self, *message: str | int | dict) -> None:
        """Send a message: a word and what belongs to it.

        Raises:
            OSError: the other end is gone.
        """
        self._line.sendall(json.dumps(message).encode() + b"\n")

    def receive(self) -> list:
        """Wait for a message.

        Raises:
            EOFError: the other end is gone.
            OSError: so it is, or it is silent for longer than the socket's timeout (TimeoutError).
        """
        line = self._incoming.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def slots(self, shape: tuple[int, ...], make_room: bool = False) -> np.ndarray:
        """The shared memory as a ring of batches of frames: uint8 (SLOTS, frames, *shape).

        Args:
            shape: of a frame.
            make_room: resize the memory first; one end does so before the other looks.
        """
        if shape != self._shape:
            frame = math.prod(shape)
            count = max(1, BATCH_BYTES // frame)
            if make_room:
                os.ftruncate(self._memory, SLOTS * count * frame)
            memory = mmap.mmap(self._memory, SLOTS * count * frame)
            self._slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, count, *shape)
            self._shape = shape
        return self._slots

    def close(self) -> None:
        """Close this end."""
        self._incoming.close()
        self._line.close()
        os.close(self._memory)
