"""The one exception that stands for a user's mistake."""

from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Bad input: one sentence that names the file, key or video and says what to do.

    Command-line programs and Snakemake jobs print the sentence and exit with status 1,
    without a traceback; library callers catch it like any exception.
    """


class DiskFullError(UserError):
    """There is no room to write; what a loop over files does not go on after."""


@contextmanager
def about_key(key: str) -> Iterator[None]:
    """Begin an error about a file with the key of the configuration that names it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
