"""IPC between the decoder process and its parent: JSON lines on a socket, frames in shared memory.

Nothing that comes through is ever executed: no pickle.
"""

import json
import math
import mmap
import operator
import os
import socket
import tempfile

import numpy as np

SLOTS = 4
"""Batches in the ring buffer: the decoder fills some while the parent copies others."""

BATCH_BYTES = 2 << 20
"""Size of a batch: 8 frames of 340x256 RGB, so that a message costs little per frame."""

TOO_LITTLE_MEMORY = 71
"""Exit status of a decoder whose memory limit is lower than what it may need."""


def shared_memory() -> int:
    """Descriptor of anonymous memory that a child process can share."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.memfd_create("tsn-frames")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


class Channel:
    """One end of the connection.

    Args:
        connection: a connected stream socket.
        memory: descriptor of the shared memory.
    """

    def __init__(self, connection: socket.socket, memory: int):
        self._socket, self._memory = connection, memory
        self._incoming = connection.makefile("rb")
        self._shape: tuple[int, ...] = ()
        self._slots = np.empty(0, np.uint8)

    def send(self, *message: str | int | dict) -> None:
        """Send a message: a word and its arguments.

        Raises:
            OSError: the other end is gone.
        """
        self._socket.sendall(json.dumps(message, default=operator.index).encode() + b"\n")

    def receive(self) -> list:
        """Wait for a message.

        Raises:
            EOFError: the other end is gone.
            OSError: so it is, or sends nothing for longer than the socket's timeout (TimeoutError).
        """
        line = self._incoming.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return json.loads(line)

    def slots(self, shape: tuple[int, ...], resize: bool = False) -> np.ndarray:
        """The shared memory as a ring of batches of frames: uint8 (SLOTS, frames, *shape).

        Args:
            shape: of a frame.
            resize: resize the memory first; the parent does, before the decoder maps it.
        """
        if shape != self._shape:
            frame = math.prod(shape)
            count = max(1, BATCH_BYTES // frame)
            if resize:
                os.ftruncate(self._memory, SLOTS * count * frame)
            memory = mmap.mmap(self._memory, SLOTS * count * frame)
            self._slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, count, *shape)
            self._shape = shape
        return self._slots

    def close(self) -> None:
        """Close this end."""
        self._incoming.close()
        self._socket.close()
        os.close(self._memory)
