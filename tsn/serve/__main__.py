"""`python -m tsn.serve -e RUN`: a page on this machine that classifies videos."""

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tsn.predict.run import add_run_options, run_of
from tsn.runtime.command_line import (
    Parser,
    exit_cleanly_on_sigterm,
    positive,
    run_command,
    show_log,
)
from tsn.runtime.errors import UserError

_PROG = "python -m tsn.serve"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command until it is interrupted.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 1 if an argument is wrong; 0 or 130 if interrupted.
    """
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _serve(arguments))


def _serve(arguments: argparse.Namespace) -> None:
    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise UserError("the page needs starlette and uvicorn: pip install 'tsn[serve]'")

    show_log(logging.WARNING)
    run = run_of(arguments)

    import uvicorn

    from tsn.predict.ensemble import Ensemble
    from tsn.predict.moments import by_segments
    from tsn.serve.app import make_app
    from tsn.serve.jobs import Limits

    test = by_segments(run.protocol)
    if arguments.crops:
        test = replace(test, crops=arguments.crops)
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads, arguments.flow_weights)
    limits = Limits(bytes=round(arguments.max_mb * 1e6), seconds=arguments.max_seconds)
    with tempfile.TemporaryDirectory(prefix="tsn-serve-") as folder:
        print(f"http://127.0.0.1:{arguments.port}  (Ctrl-C ends it)", flush=True)
        uvicorn.run(
            make_app(ensemble, Path(folder), limits),
            host="127.0.0.1",
            port=arguments.port,
            log_level="warning",
        )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog=_PROG, description=__doc__.partition(": ")[2])
    default = "(default: %(default)s)"
    add = parser.add_argument
    add_run_options(parser)
    add("--crops", type=int, choices=(1, 5, 10), help="crops a snippet (default: as tested)")
    add("--port", type=_port, default=8000, metavar="N", help=f"of the page {default}")
    add("--max-mb", type=positive, default=500, metavar="MB", help=f"largest upload {default}")
    add("--max-seconds", type=positive, default=300, metavar="S", help=f"of work a video {default}")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 1 to 65535")
    return int(text)


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
