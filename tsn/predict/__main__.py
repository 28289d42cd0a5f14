"""`python -m tsn.predict VIDEO… --experiment NAME`: what a trained run says of any video file."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tsn.models.modality import MODALITIES
from tsn.runtime.command_line import Parser, cores, exit_cleanly_on_sigterm, run_command, show_log
from tsn.runtime.errors import UserError

_PROG = "python -m tsn.predict"

_EXAMPLES = f"""\
examples:
  The five best classes of a clip, by all modalities of an experiment:
    {_PROG} clip.mp4 -e ucf101/tsn --split 1

  A quick look by RGB alone, without computing flow:
    {_PROG} clip.mp4 -e demo/tsn --modalities rgb --crops 1

  All videos below a folder, for programs and as images:
    {_PROG} videos/ -e demo/tsn --json answers.json --strip strips/

Flow is computed with the engine and parameters of the run's own shards, and only for the
snippets of the test; a run whose flow cannot be made here is refused.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 0; 1 if a video failed or something is wrong with what was asked for;
        130 if interrupted. Arguments that cannot be parsed exit with 2.
    """
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from tsn.flow.export.plan import Target, find_videos
    from tsn.predict.run import find_run

    run = find_run(arguments.experiment, Path(arguments.results), arguments.split)
    sources = find_videos(arguments.videos, Target(Path.cwd(), "png", single=False))
    outputs = _outputs(arguments, [source.id for source in sources])

    # Importing what computes takes seconds, which mistakes do not have to wait for.
    from tsn.predict.ensemble import Ensemble
    from tsn.predict.output import as_dict, as_text
    from tsn.runtime.files import write_json
    from tsn.runtime.progress import track
    from tsn.video.decode import VideoError

    show_log(logging.WARNING)
    asked = {name: getattr(arguments, name) for name in ("segments", "crops")}
    test = replace(run.protocol, **{name: value for name, value in asked.items() if value})
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads)
    answers, failures = [], []
    for source in track(sources, len(sources), "videos", "predict"):
        try:
            prediction = ensemble.predict(source.path)
            for write, path in outputs[source.id]:
                write(path, prediction, ensemble.classes, arguments.top)
        except VideoError as error:
            failures.append({"video": source.path, "error": str(error)})
            print(f"failed: {error}", file=sys.stderr)
            continue
        answers.append(as_dict(prediction, ensemble.classes, arguments.top))
        print(as_text(prediction, ensemble.classes, arguments.top))
    if arguments.json:
        about = {
            "run": str(run.folder),
            "dataset": run.dataset,
            "experiment": run.experiment,
            "weights": ensemble.weights,
            "fuse": run.fuse,
            "models": {modality: run.sha256[modality] for modality in ensemble.weights},
            "test": {"segments": test.segments, "crops": test.crops},
        }
        write_json(arguments.json, {**about, "videos": answers, "failed": failures})
    return 1 if failures else 0


def _outputs(
    arguments: argparse.Namespace, names: list[str]
) -> dict[str, list[tuple[Callable, Path]]]:
    """By video: the figures to write, each as (function, path)."""
    outputs: dict[str, list] = {name: [] for name in names}
    for option, ending in (("strip", ".png"), ("video", ".mp4")):
        target = getattr(arguments, option)
        if target is None:
            continue
        from tsn.predict import figures

        write = getattr(figures, f"write_{option}")
        if target.endswith(ending):
            if len(names) > 1:
                raise UserError(
                    f"--{option} {target}: this file can show one video, and there are "
                    f"{len(names)}; name a folder"
                )
            outputs[names[0]].append((write, Path(target)))
        elif Path(target).suffix and not target.endswith(os.sep) and not Path(target).is_dir():
            raise UserError(
                f"--{option} {target}: name a file that ends in {ending}, or a folder (end it in /)"
            )
        else:
            for name in names:
                outputs[name].append((write, Path(target, name + ending)))
    return outputs


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
    add("--top", type=_count, default=5, metavar="N", help="classes to show (default: 5)")
    add("--json", metavar="FILE", help="write the answers for programs")
    add("--strip", metavar="OUT", help="draw frames beside the answer: a .png, or a folder")
    add("--video", metavar="OUT", help="show the video beside the answer: an .mp4, or a folder")
    add(
        "-j", "--threads", type=_count, metavar="N", default=cores(),
        help="CPU threads (default: %(default)s)",
    )  # fmt: skip
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**6:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
