"""`python -m tsn.features VIDEO… -e RUN -o FOLDER`: features of videos for other programs."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tsn.config.fields import build
from tsn.config.schema import FeaturesConfig
from tsn.datasets.video_files import find_video_files
from tsn.predict.run import add_run_options, run_of
from tsn.runtime.command_line import Parser, exit_cleanly_on_sigterm, run_command, show_log
from tsn.runtime.errors import UserError

_PROG = "python -m tsn.features"

_EXAMPLES = f"""\
examples:
  A (T, C) array a video and modality, as OpenTAD and ActionFormer read it:
    {_PROG} videos/ -e ucf101/tsn --split 1 -o features/

  Class scores as CSV, for mmaction2's BMN:
    {_PROG} videos/ -e ucf101/tsn --split 1 --layer scores --stride 16 --form csv -o features/

Those of a data set's own videos come from its shards:
    snakemake results/ucf101/tsn/split1/rgb/features.h5
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 0; 1 if a video failed or an argument is wrong; 130 if interrupted.
        Arguments that cannot be parsed exit with 2.
    """
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from tsn.predict.outputs import names_of

    show_log(logging.INFO)
    keys = {name: getattr(arguments, name) for name in ("stride", "crops", "layer")}
    chosen = build(FeaturesConfig, keys)
    run = run_of(arguments)
    videos, _ = find_video_files(arguments.videos)

    # Importing torch takes seconds: errors in the arguments come first.
    from tsn.predict.ensemble import Ensemble
    from tsn.predict.features import FeatureExtractor, feature_folder
    from tsn.runtime.progress import track

    test = replace(run.protocol, crops=chosen.crops)
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads, arguments.flow_weights)
    extract = FeatureExtractor(ensemble, chosen)
    failed = False
    infos = [info for _, info in ensemble.networks.values()]
    with feature_folder(Path(arguments.out), infos, chosen, arguments.form) as writers:
        for video in track(videos, len(videos), "videos", "features"):
            try:
                found = extract(str(video), names_of(videos)[video])
            except (UserError, OSError) as error:
                failed = True
                print(f"failed: {error}", file=sys.stderr)
                continue
            for modality, features in found.items():
                writers[modality](features)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROG,
        description=__doc__.partition(": ")[2],
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    default = "(default: %(default)s)"
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO", help="a video, or a folder: all videos below it")
    add("-o", "--out", required=True, metavar="FOLDER", help="where to write")
    add_run_options(parser)
    add("--form", choices=("npy", "h5", "csv"), default="npy", help=f"of the files {default}")
    add("--stride", default=8, metavar="N", help=f"frames between snippets {default}")
    add("--layer", choices=("pool", "scores"), default="pool", help=f"of the network {default}")
    add("--crops", type=int, choices=(1, 5, 10), default=1, help=f"crops a snippet {default}")
    return parser


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
