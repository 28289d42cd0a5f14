"""`python -m tsn.export SHARDS -o FOLDER --naming N`: frames and flow for other programs."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tsn.runtime.command_line import Parser, exit_cleanly_on_sigterm, run_command, show_log
from tsn.video.naming import WRITABLE

_PROG = "python -m tsn.export"

_EXAMPLES = f"""\
examples:
  All frames and flow of a data set, as mmaction2's RawframeDataset reads them, with its lists:
    {_PROG} results/ucf101 -o rawframes --naming mmaction2

  Those of some shards:
    {_PROG} results/ucf101/shards/rgb/0000.h5 -o images --naming tsn_pytorch
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 0; 1 if an argument is wrong; 130 if interrupted. Arguments that cannot be
        parsed exit with 2.
    """
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _export(arguments))


def _export(arguments: argparse.Namespace) -> None:
    from tsn.shards.folders import export_folders

    show_log(logging.INFO)
    sources = [Path(name) for name in arguments.what]
    written, kept = export_folders(sources, Path(arguments.out), arguments.naming)
    print(f"{arguments.out}: {written} video(s) written, {kept} kept", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROG,
        description=__doc__.partition(": ")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", nargs="+", metavar="SHARDS", help="the folder of a data set, or shards")
    add("-o", "--out", required=True, metavar="FOLDER", help="the folder to write")
    add("--naming", required=True, choices=WRITABLE, help="how images are named and folders lie")
    return parser


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
