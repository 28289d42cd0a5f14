"""Shared helpers of the command-line tools: error reporting, logging, exit on SIGTERM."""

import argparse
import io
import logging
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tsn.runtime.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one sentence, without the list of all options."""

    def format_help(self) -> str:
        """The help, which is printed in terminals of any character set."""
        escape_what_cannot_be_printed()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """End the process with status 2."""
        if any(word.startswith("-") and Path(word).exists() for word in sys.argv[1:]):
            message += "; write ./ before a name that begins with -"
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def count(text: str) -> int:
    """The type of an option that counts something: 1 to 1000."""
    if not text.isdecimal() or not 0 < int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 1000")
    return int(text)


def positive(text: str, most: float = 1e9) -> float:
    """The type of an option that measures something: above 0, at most `most`."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, at most {most:g}")
    return number


def run_command(work: Callable[[], int | None]) -> int:
    """Run a command's work and report errors of users and of the file system in one sentence.

    Args:
        work: returns the exit status, None for 0.

    Returns:
        The exit status: that of `work`; 1 after an error; 130 if interrupted.
    """
    escape_what_cannot_be_printed()
    try:
        status = work() or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        message, status = f"error: {error}", 1
    except BrokenPipeError:  # as by `| head`; Python would complain once more as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        message, status = f"error: {describe(error)}", 1
    except KeyboardInterrupt:
        message, status = "interrupted; complete files are kept", 130
    print(message, file=sys.stderr)
    return status


def escape_what_cannot_be_printed() -> None:
    """Print names escaped that the terminal's character set lacks, or that are not UTF-8."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def describe(error: OSError) -> str:
    """File and reason of an error of the file system."""
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{os.fsdecode(error.filename)}: {error.strerror}"


def show_log(level: int) -> None:
    """Send the project's messages from `level` on to the terminal."""
    logger = logging.getLogger("tsn")
    logger.setLevel(level)
    logger.handlers[:] = [logging.StreamHandler(sys.stderr)]
    logger.propagate = False


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def exit_cleanly_on_sigterm() -> None:
    """Treat SIGTERM like Ctrl-C, so that temporary files are removed."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
