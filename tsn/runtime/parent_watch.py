"""End a job when the Snakemake process that started it ends.

Killed by SIGKILL, Snakemake leaves its jobs running; they would compete with those of the next run.
"""

import os
import select
import sys
import threading
import time
from collections.abc import Callable

RUN_PID = "TSN_RUN_PID"
"""Environment variable with the process id of the Snakemake that starts jobs on this machine."""

_POLL_SECONDS = 1.0


def announce_run() -> None:
    """Called by Snakemake's own process: jobs started from here on end with it."""
    os.environ[RUN_PID] = str(os.getpid())


def end_with_run() -> None:
    """Called by a job: end this process as soon as the announced one has ended.

    Does nothing where none was announced, or where it cannot be seen, as from inside a container.
    """
    run = int(os.environ.get(RUN_PID, 0))
    if not run or run == os.getpid():
        return
    try:
        wait = _waiter(run)
    except OSError:
        return
    threading.Thread(target=_end_after, args=(wait, run), daemon=True).start()


def _waiter(pid: int) -> Callable[[], object]:
    """A function that returns when a process has ended."""
    if hasattr(os, "pidfd_open"):  # Linux: it names this process, also when its number is reused
        handle = os.pidfd_open(pid)
        return lambda: select.select([handle], [], [])
    os.kill(pid, 0)
    return lambda: _poll(pid)


def _poll(pid: int) -> None:
    while True:
        time.sleep(_POLL_SECONDS)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return


def _end_after(wait: Callable[[], object], run: int) -> None:
    wait()
    print(f"Snakemake (process {run}) has ended, and so does this job", file=sys.stderr, flush=True)
    os._exit(1)
