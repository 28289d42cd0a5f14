"""Cache folders of Numba and others, with a temporary fallback if read-only."""

import atexit
import fcntl
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

_NUMBA = "NUMBA_CACHE_DIR"
"""Environment variable of Numba: where it caches instead of beside the source files or at home."""

logger = logging.getLogger("tsn.runtime")


def writable_cache(folders: Iterable[Path], variable: str, cost: str) -> Path:
    """The first of a cache's folders that can be written, or a temporary one, with a warning.

    Args:
        folders: in order of preference.
        variable: environment variable that names another folder.
        cost: what it costs to have no cache, for the warning.

    Returns:
        A folder; a temporary one is removed as this process ends.
    """
    folders = list(folders)
    for folder in folders:
        if _is_writable(folder):
            return folder
    temporary = tempfile.mkdtemp(prefix="tsn-cache-")
    atexit.register(shutil.rmtree, temporary, ignore_errors=True)
    names = " and ".join(map(str, folders))
    logger.warning("%s cannot be written: %s; set %s to a folder that can", names, cost, variable)
    return Path(temporary)


def ensure_numba_cache(package: Path) -> None:
    """Let Numba cache in a temporary folder where it can write to none of its own.

    It refuses to import cached functions otherwise. Processes that this one starts use the same
    folder.

    Args:
        package: the folder of the modules with cached functions.
    """
    folders = _numba_folders(package)
    found = writable_cache(folders, _NUMBA, "Numba compiles anew in each run, for some seconds")
    if found not in folders:
        os.environ[_NUMBA] = str(found)
        if (numba := sys.modules.get("numba")) is not None:  # which has read the environment
            numba.config.CACHE_DIR = str(found)


def _numba_folders(package: Path) -> list[Path]:
    """Those that Numba tries, in its order."""
    own = [Path(folder)] if (folder := os.environ.get(_NUMBA)) else []
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return [*own, package / "__pycache__", Path(cache) / "numba"]


def _is_writable(folder: Path) -> bool:
    if folder.parts[:1] == ("~",):  # of a user who has no home, as in containers
        return False
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
    folder = next(filter(_is_writable, _numba_folders(package)), None)
    if folder is None:
        yield
        return
    with ExitStack() as stack:
        # The file may be another user's, and some network file systems have no locks.
        with suppress(OSError):
            file = stack.enter_context((folder / "tsn.lock").open("w", encoding="ascii"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
