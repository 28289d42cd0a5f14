"""Which GPUs this machine lets us use, and claims on them, so that two jobs never share one.

A claim is a lock (flock) on a file named after the GPU, in a folder of this machine and user. The
system drops it when the job ends in whatever way, so a killed job leaves nothing behind. What the
job then sees is `CUDA_VISIBLE_DEVICES`, which must be set before PyTorch or OpenCV are loaded.

This runs while the Snakefile is parsed, too, so it imports nothing heavy.
"""

import fcntl
import hashlib
import logging
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tsn.runtime.errors import UserError

VISIBLE = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 1.0
"""Between two looks for a GPU while all are taken."""

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
    on the CPU: the same command does everywhere. Where nvidia-smi does not run, as in some
    containers, it cannot be known which GPUs there are: none is claimed, and none is hidden.

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
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = ",".join(locks)
    try:
        yield list(locks)
    finally:
        os.environ.pop(VISIBLE)
        if before is not None:
            os.environ[VISIBLE] = before
        _drop(locks)


def _take(usable: list[Gpu], count: int) -> dict[str, int]:
    """Wait for `count` of the GPUs: name -> descriptor that holds its lock."""
    told = False
    while True:
        locks: dict[str, int] = {}
        for gpu in usable:
            descriptor = _lock(gpu.uuid) if len(locks) < count else None
            if descriptor is not None:
                locks[gpu.name] = descriptor
        if len(locks) == count:
            return locks
        # All or none: two jobs that each held half of what they need would wait for ever.
        _drop(locks)
        if not told:
            logger.info("waiting for %d of %d GPUs: other jobs have them", count, len(usable))
            told = True
        time.sleep(POLL_SECONDS)


def _lock(uuid: str) -> int | None:
    """A descriptor that holds the lock of a GPU, or None if another job does."""
    # On this machine's own disk: locks on a network file system may be no locks.
    folder = Path(tempfile.gettempdir()) / f"tsn-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(uuid.encode()).hexdigest()[:16]
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _drop(locks: dict[str, int]) -> None:
    for descriptor in locks.values():
        os.close(descriptor)


@cache
def _installed() -> list[list[str]] | None:
    """UUIDs as nvidia-smi lists them: for every GPU its own, then those of its MIG instances.

    None if nvidia-smi does not run.
    """
    try:
        text = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
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


def _leaves(installed: list[list[str]]) -> list[str]:
    return [uuid for own, *instances in installed for uuid in instances or [own]]


def _find(name: str, installed: list[list[str]]) -> str | None:
    """The UUID of what CUDA_VISIBLE_DEVICES calls `name`: an index, or a UUID or its beginning.

    An index is taken to count as nvidia-smi does. Where CUDA counts otherwise (GPUs of several
    kinds, without CUDA_DEVICE_ORDER=PCI_BUS_ID) two indices still stand for two locks.
    """
    if name.isdecimal():
        return _leaves([installed[int(name)]])[0] if int(name) < len(installed) else None
    known = [uuid for gpu in installed for uuid in gpu if name and uuid.startswith(name)]
    return known[0] if known else None
