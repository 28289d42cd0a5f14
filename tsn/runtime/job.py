"""What every pipeline job does around its work: a log, clear errors, a record of what ran."""

import importlib.metadata
import logging
import os
import shlex
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NoReturn, TextIO

from tsn import __version__
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv
from tsn.runtime.gpus import claim
from tsn.runtime.parent_watch import end_with_run

PACKAGES = (
    "torch",
    "torchvision",
    "opencv-contrib-python",
    "av",
    "h5py",
    "numba",
    "numpy",
    "snakemake",
)

THREAD_VARIABLES = ("OPENCV_FOR_THREADS_NUM", "NUMBA_NUM_THREADS")
"""What OpenCV and Numba read when they are loaded."""


@contextmanager
def job(log: str, title: str, gpus: int = 0) -> Iterator[None]:
    """Send everything that is printed to the file `log`; show progress and errors on the terminal.

    The block has `gpus` GPUs to itself (see `tsn.runtime.gpus.claim`) and sees no other.

    A `UserError` ends the process with its sentence, any other exception with its last line; the
    traceback is in the log. File descriptors are redirected, so C libraries' output is caught too.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    # Snakemake sets OMP_NUM_THREADS to the threads of the job; these have pools of their own.
    for name in THREAD_VARIABLES:
        os.environ.setdefault(name, os.environ.get("OMP_NUM_THREADS", "1"))
    # A message may name a file whose name is not UTF-8.
    console = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    with Path(log).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    _set_up_logging(console, title)
    end_with_run()
    try:
        with claim(gpus):
            yield
    except UserError as error:
        _fail(console, title, str(error), log)
    except Exception as error:
        traceback.print_exc()
        _fail(console, title, f"{type(error).__name__}: {error}", log)


def _set_up_logging(console: TextIO, title: str) -> None:
    to_file = logging.StreamHandler(sys.stderr)
    to_file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    to_console = logging.StreamHandler(console)
    to_console.setFormatter(logging.Formatter(f"[{title}] %(message)s"))
    logger = logging.getLogger("tsn")
    logger.setLevel(logging.INFO)
    logger.handlers[:] = [to_file, to_console]
    logger.propagate = False


def _fail(console: TextIO, title: str, message: str, log: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    print(f"[{title}] error: {message} (log: {log})", file=console)
    sys.stderr.flush()
    sys.exit(1)


def share_package() -> None:
    """Let processes started from here import this package too, in whatever environment they run."""
    here = str(Path(__file__).parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, paths)])


def find_interpreter_by_path() -> None:
    """Let jobs find this Python where its path means something else to a shell, as a space does.

    Snakemake (9.27) puts `sys.executable` into the command lines of jobs without quotes. A bare
    name, looked up in PATH, is the same program to a shell and to `subprocess`.

    Raises:
        UserError: the folder cannot stand in PATH.
    """
    folder, name = os.path.split(sys.executable)
    if shlex.quote(sys.executable) == sys.executable:
        return
    if os.pathsep in folder:
        raise UserError(
            f"Snakemake cannot start {sys.executable}, which has a colon beside a character that "
            "means something to a shell: rename or move its folder"
        )
    os.environ["PATH"] = os.pathsep.join([folder, os.environ.get("PATH", os.defpath)])
    sys.executable = name


@cache
def code_version() -> str:
    """The version of this package, with the commit when it runs from a git checkout."""
    git = [
        "git",
        "-C",
        str(Path(__file__).parents[1]),
        "describe",
        "--always",
        "--dirty",
        "--exclude=*",
    ]
    try:
        commit = subprocess.run(
            git, capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return __version__
    return f"{__version__}+{commit}"


def benchmark_seconds(file: Path) -> list[float]:
    """Seconds that a job took, from the benchmark file that Snakemake wrote: one a run."""
    return [float(row["s"]) for row in read_tsv(file)[1]]


def package_versions() -> dict[str, str]:
    """Versions of the packages that results may depend on, and of Python."""
    versions = {"python": sys.version.split()[0]}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions
