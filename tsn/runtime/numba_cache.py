"""Numba's cache of compiled code: a folder that can be written, filled by one process at a time."""

import atexit
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_VARIABLE = "NUMBA_CACHE_DIR"
"""Environment variable of Numba: where it caches instead of beside the source files or at home."""

logger = logging.getLogger("tsn.runtime")


def ensure_writable(package: Path) -> None:
    """Let Numba cache in a temporary folder where it can write to none of its own.

    It refuses to import cached functions otherwise. To be called before it is imported. Processes
    that this one starts use the same folder; it is removed as this one ends.

    Args:
        package: the folder of the modules with cached functions.
    """
    folders = _folders(package)
    if any(map(_is_writable, folders)):
        return
    temporary = tempfile.mkdtemp(prefix="tsn-numba-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    os.environ[_VARIABLE] = temporary
    logger.warning(
        "Numba cannot cache compiled code: %s cannot be written; compiling anew takes some seconds "
        "in each run. Set %s to a folder that can be written",
        " and ".join(map(str, folders)),
        _VARIABLE,
    )


def _folders(package: Path) -> list[Path]:
    """Those that Numba tries, in its order."""
    own = [Path(folder)] if (folder := os.environ.get(_VARIABLE)) else []
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return [*own, package / "__pycache__", Path(cache) / "numba"]


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@contextmanager
def compiling(package: Path) -> Iterator[None]:
    """Run a block that compiles cached functions in one process at a time.

    Numba's cache does not expect two writers; besides, the others find the work done.
    """
    folder = next(filter(_is_writable, _folders(package)), None)
    if folder is None:
        yield
        return
    with (folder / "tsn.lock").open("w", encoding="ascii") as file:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
