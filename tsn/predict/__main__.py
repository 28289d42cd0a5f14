"""`python -m tsn.predict VIDEO… --experiment NAME`: classify any video with a finished run."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tsn.datasets.video_files import find_video_files
from tsn.models.modality import MODALITIES
from tsn.runtime.command_line import Parser, cores, exit_cleanly_on_sigterm, run_command, show_log
from tsn.runtime.errors import DiskFullError, UserError

_PROG = "python -m tsn.predict"
_MOST = 1000

_EXAMPLES = f"""\
examples:
  The five best classes of a clip, by all modalities of an experiment:
    {_PROG} clip.mp4 -e ucf101/tsn --split 1

  A quick look by RGB alone, without computing flow:
    {_PROG} clip.mp4 -e demo/tsn --modalities rgb --crops 1

  All videos below a folder, for programs and as images:
    {_PROG} videos/ -e demo/tsn --json predictions.json --strip strips/

Flow is computed with the engine and parameters of the run's own shards, and only for the
snippets of the test; a run whose flow cannot be made here is refused.
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
    from tsn.predict.outputs import plan_outputs
    from tsn.predict.run import find_run

    show_log(logging.WARNING)
    run = find_run(arguments.experiment, Path(arguments.results), arguments.split)
    videos, _ = find_video_files(arguments.videos)
    outputs = plan_outputs(videos, arguments.json, arguments.strip, arguments.video)

    # Importing torch takes seconds: errors in the arguments come first.
    from tsn.predict import figures
    from tsn.predict.ensemble import Ensemble
    from tsn.predict.output import JsonFile, as_dict, as_text
    from tsn.runtime.progress import track

    asked = {name: getattr(arguments, name) for name in ("segments", "crops")}
    test = replace(run.protocol, **{name: value for name, value in asked.items() if value})
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads, arguments.flow_weights)
    about = {
        "run": str(run.folder),
        "dataset": run.dataset,
        "experiment": run.experiment,
        "weights": ensemble.weights,
        "fuse": run.fuse,
        "models": {modality: run.sha256[modality] for modality in ensemble.weights},
        "test": {"segments": test.segments, "crops": test.crops},
    }
    results = JsonFile(arguments.json, about) if arguments.json else None
    failed = False
    for video in track(videos, len(videos), "videos", "predict"):
        try:
            prediction = ensemble.predict(str(video))
            for kind, path in outputs[video].items():
                write = figures.write_strip if kind == "strip" else figures.write_video
                write(path, prediction, ensemble.classes, arguments.top)
        except DiskFullError:
            raise
        except (UserError, OSError) as error:
            failed = True
            print(f"failed: {error}", file=sys.stderr)
            if results:
                results.add_failed(str(video), str(error))
            continue
        if results:
            results.add(as_dict(prediction, ensemble.classes, arguments.top))
        print(as_text(prediction, ensemble.classes, arguments.top), flush=True)
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROG,
        usage="%(prog)s VIDEO... -e EXPERIMENT [options]",
        description="Classify videos with the models and the fusion of a finished experiment.",
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(
            prog, max_help_position=24, width=98
        ),
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("videos", nargs="+", metavar="VIDEO", help="a video, or a folder: all videos below it")
    add(
        "-e", "--experiment", required=True, metavar="E",
        help="a name as tsn or ucf101/tsn, or a folder as results/ucf101/tsn",
    )  # fmt: skip
    add("--split", type=_count, metavar="N", help="which split's models, if there are several")
    add(
        "--results", default="results", metavar="DIR",
        help="where names are looked up (default: %(default)s)",
    )  # fmt: skip
    add(
        "--modalities", nargs="+", choices=MODALITIES, metavar="M",
        help=f"only these of the fusion: {', '.join(MODALITIES)}",
    )  # fmt: skip
    add("--segments", type=_count, metavar="N", help="snippets a video (default: as tested)")
    add("--crops", type=int, choices=(1, 5, 10), help="crops a snippet (default: as tested)")
    add(
        "--flow-weights", metavar="FILE",
        help="of RAFT, if the flow was computed with weights of your own",
    )  # fmt: skip
    add("--top", type=_count, default=5, metavar="N", help="classes to show (default: 5)")
    add("--json", metavar="FILE", help="write the predictions for programs, video by video")
    add("--strip", metavar="OUT", help="draw frames beside the best classes: a .png, or a folder")
    add(
        "--video",
        metavar="OUT",
        help="show the video beside the best classes: an .mp4, or a folder",
    )
    add(
        "-j", "--threads", type=_count, metavar="N", default=cores(),
        help="CPU threads (default: %(default)s)",
    )  # fmt: skip
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {_MOST}")
    return int(text)


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
