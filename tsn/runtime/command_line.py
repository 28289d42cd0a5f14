"""What the commands have in common: how mistakes are told, where the log goes, a kind end."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable

from tsn.runtime.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one sentence, without the list of all options."""

    def error(self, message: str) -> None:
        """End the process with status 2."""
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def told(run: Callable[[], int | None], what: str = "the output") -> int:
    """Do a command's work, with a sentence for each mistake instead of a traceback.

    Args:
        run: Does the work; returns the exit status, None for 0.
        what: What the command writes, for messages.

    Returns:
        The exit status: that of `run`; 1 if something is wrong with what was asked for; 130 if
        interrupted.
    """
    try:
        return run() or 0
    except UserError as error:
        message, status = f"error: {error}", 1
    except OSError as error:
        message, status = f"error: cannot write {what}: {error}", 1
    except KeyboardInterrupt:
        message, status = "interrupted; what is complete is kept", 130
    print(message, file=sys.stderr)
    return status


def show_log(level: int) -> None:
    """Send the project's messages from `level` on to the terminal."""
    logger = logging.getLogger("tsn")
    logger.setLevel(level)
    logger.handlers[:] = [logging.StreamHandler(sys.stderr)]
    logger.propagate = False


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_kindly() -> None:
    """Ended by a scheduler or `kill`, a command leaves nothing half-written, as after Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_) -> None:
    raise KeyboardInterrupt
