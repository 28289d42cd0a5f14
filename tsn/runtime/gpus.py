"""Discover usable GPUs and claim them exclusively for one job.

A claim is a socket bound to a name in Linux's abstract namespace (unix(7)), made of the user and
the GPU: no file, so neither TMPDIR nor a cleaner of /tmp gets in its way. The system drops it when
the job and the processes that it passed the claim on to (`claimed`) have ended in whatever way, so
a killed job leaves nothing behind. What the job then sees is `CUDA_VISIBLE_DEVICES`, which must be
set before PyTorch or OpenCV are loaded.

This runs while the Snakefile is parsed, too, so it imports nothing heavy.
"""

import errno
import logging
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tsn.runtime.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER = "CUDA_DEVICE_ORDER"
POLL_SECONDS = 1.0
"""Interval between attempts to claim a GPU."""

_claimed: list[socket.socket] = []

logger = logging.getLogger("tsn.runtime.progress")


@dataclass(frozen=True)
class Gpu:
    """A GPU, or a MIG instance of one.

    Attributes:
        name: what `CUDA_VISIBLE_DEVICES` calls it here.
        uuid: its identity, the same in every job of the machine, whatever they call it.
    """

    name: str
    uuid: str


def usable_gpus() -> list[Gpu]:
    """The GPUs that this process may use.

    An outer `CUDA_VISIBLE_DEVICES`, the user's or that of a SLURM allocation, is respected: only
    what it names counts. Without it, all that nvidia-smi lists; of a GPU in MIG mode its
    instances, as CUDA cannot use it whole.
    """
    installed = _installed() or []
    outer = os.environ.get(VISIBLE)
    if outer is None:
        return [Gpu(uuid, uuid) for uuid in _leaves(installed)]
    usable = []
    for name in (part.strip() for part in outer.split(",")):
        uuid = _find(name, installed)
        if uuid is None:  # CUDA, too, ignores all that follows a name without a GPU, such as -1
            break
        usable.append(Gpu(name, uuid))
    return usable


@contextmanager
def claim(count: int) -> Iterator[list[str]]:
    """Hold `count` GPUs for as long as the block runs, and show this process no other.

    Waits while other jobs have them. Where there is no GPU nothing is claimed, and the work runs
    on the CPU: the same command does everywhere. Where neither nvidia-smi nor NVIDIA's driver runs,
    it cannot be known which GPUs there are: none is claimed, and none is hidden.

    Args:
        count: GPUs that the job asked for; 0 hides them all.

    Yields:
        Their names.

    Raises:
        UserError: if there are some, but fewer than `count`.
    """
    if _installed() is None:
        yield []
        return
    usable = usable_gpus() if count else []
    if count and not usable:
        logger.info("no GPU can be used here: running on the CPU")
    elif len(usable) < count:
        raise UserError(
            f"the job asks for {count} GPUs and {len(usable)} can be used here ({VISIBLE} is "
            f"{os.environ.get(VISIBLE, 'not set')}); ask for fewer"
        )
    locks = _take(usable, count) if usable else {}
    before = {name: os.environ.get(name) for name in (VISIBLE, ORDER)}
    # CUDA would put the fastest GPU first; nvidia-smi counts by their place on the bus.
    os.environ |= {VISIBLE: ",".join(locks), ORDER: "PCI_BUS_ID"}
    _claimed.extend(locks.values())
    try:
        yield list(locks)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        for lock in locks.values():
            _claimed.remove(lock)
        _drop(locks)


def claimed() -> list[int]:
    """Descriptors of this process's claims, for child processes that are to hold them, too."""
    return [lock.fileno() for lock in _claimed]


def _take(usable: list[Gpu], count: int) -> dict[str, socket.socket]:
    """Wait for `count` of the GPUs: name -> its lock."""
    logged = False
    while True:
        locks: dict[str, socket.socket] = {}
        for gpu in usable:
            lock = _lock(gpu.uuid) if len(locks) < count else None
            if lock is not None:
                locks[gpu.name] = lock
        if len(locks) == count:
            return locks
        # All or none: two jobs that each held half of what they need would wait for ever.
        _drop(locks)
        if not logged:
            logger.info("waiting for %d of %d GPUs: other jobs have them", count, len(usable))
            logged = True
        time.sleep(POLL_SECONDS)


def _lock(uuid: str) -> socket.socket | None:
    """The lock of a GPU, or None if another job has it."""
    lock = socket.socket(socket.AF_UNIX)
    try:
        lock.bind(f"\0tsn-gpu-{os.getuid()}-{uuid}")
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return lock


def _drop(locks: dict[str, socket.socket]) -> None:
    for lock in locks.values():
        lock.close()


@cache
def _installed() -> list[list[str]] | None:
    """UUIDs as nvidia-smi lists them: for every GPU its own, then those of its MIG instances.

    Where that does not run, as in some containers, the driver is asked, in a process of its own:
    once it has started, CUDA_VISIBLE_DEVICES has no effect. None if it knows of no GPU either.
    """
    driver = [sys.executable, str(Path(__file__).with_name("cuda_driver.py"))]
    text = _output("nvidia-smi", "-L")
    if text is None:
        text = _output(*driver) or None
    if text is None:
        return None
    gpus: list[list[str]] = []
    for line in text.splitlines():
        # GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5c89…)
        #   MIG 1g.5gb      Device  0: (UUID: MIG-c6d4…)
        found = re.match(r"\s*(GPU|MIG) .*\(UUID: ([^)\s]+)\)", line)
        if found and found[1] == "GPU":
            gpus.append([found[2]])
        elif found and gpus:
            gpus[-1].append(found[2])
    return gpus


def _output(*command: str) -> str | None:
    """What a program prints, or None if it fails or is not there."""
    environment = {**os.environ, ORDER: "PCI_BUS_ID"}
    environment.pop(VISIBLE, None)
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=environment
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _leaves(installed: list[list[str]]) -> list[str]:
    return [uuid for own, *instances in installed for uuid in instances or [own]]


def _find(name: str, installed: list[list[str]]) -> str | None:
    """The UUID of what CUDA_VISIBLE_DEVICES calls `name`: an index, or a UUID or its beginning.

    An index counts as nvidia-smi does, and as CUDA does in jobs (`claim`).
    """
    if name.isdecimal():
        return _leaves([installed[int(name)]])[0] if int(name) < len(installed) else None
    known = [uuid for gpu in installed for uuid in gpu if name and uuid.startswith(name)]
    return known[0] if known else None
