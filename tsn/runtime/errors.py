"""The one exception that stands for a user's mistake."""


class UserError(Exception):
    """Bad input: one sentence that names the file, key or video and says what to do.

    Command-line programs and Snakemake jobs print the sentence and exit with status 1,
    without a traceback; library callers catch it like any exception.
    """


class DiskFullError(UserError):
    """There is no room to write; what a loop over files does not go on after."""
