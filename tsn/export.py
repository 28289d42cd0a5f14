"""`python -m tsn.export WHAT -o OUT`: models, runs, frames and flow for other programs."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from tsn.runtime.command_line import Parser, exit_cleanly_on_sigterm, run_command, show_log
from tsn.runtime.errors import UserError
from tsn.video.naming import WRITABLE

_PROG = "python -m tsn.export"

_EXAMPLES = f"""\
examples:
  One network, for ONNX Runtime, OpenVINO and others:
    {_PROG} results/ucf101/tsn/split1/rgb/model.pt -o rgb.onnx

  All networks of a run and their fusion in one file; the second for PyTorch alone (torch.export):
    {_PROG} ucf101/tsn --split 1 -o ucf101.onnx
    {_PROG} ucf101/tsn --split 1 -o ucf101.pt2

  All frames and flow of a data set, as mmaction2's RawframeDataset reads them, with its lists:
    {_PROG} results/ucf101 -o rawframes --naming mmaction2

  Those of some shards:
    {_PROG} results/ucf101/shards/rgb/0000.h5 -o images --naming tsn_pytorch

Classes, inputs and preprocessing are in a model file's metadata. Before it is written, its scores
are compared with PyTorch's on snippets of real videos.
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
    return run_command(lambda: (_export_frames if arguments.naming else _export_run)(arguments))


def _export_run(arguments: argparse.Namespace) -> None:
    from tsn.predict.run import find_run

    if len(arguments.what) > 1 or Path(arguments.out).suffix not in (".onnx", ".pt2"):
        raise UserError(
            f"-o {arguments.out}: give one model or experiment and a file that ends in .onnx or "
            ".pt2 (torch.export), or shards and --naming"
        )
    run = find_run(arguments.what[0], Path(arguments.results), arguments.split)

    from tsn.predict.export import export_run

    checked = export_run(run, Path(arguments.out), [Path(path) for path in arguments.check])
    print(
        f"{arguments.out}: {', '.join(run.weights)}; {checked.runtime}; largest difference from "
        f"PyTorch {checked.difference:.1e}, of scores up to {checked.largest:.3g}"
    )


def _export_frames(arguments: argparse.Namespace) -> None:
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
    add(
        "what", nargs="+", metavar="WHAT",
        help="a model.pt, an experiment as ucf101/tsn, the folder of a data set, or shards",
    )  # fmt: skip
    add("-o", "--out", required=True, help="an .onnx, a .pt2 (torch.export), or a folder")
    add("--naming", choices=WRITABLE, help="of frames: how images are named and folders lie")
    add("--split", type=int, metavar="N", help="which split's models, if there are several")
    add(
        "--results", default="results", metavar="DIR",
        help="where names of experiments are looked up (default: %(default)s)",
    )  # fmt: skip
    add(
        "--check", nargs="+", default=[], metavar="SHARD",
        help="compare a model's scores on videos of these shards (default: those of the run)",
    )  # fmt: skip
    return parser


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
