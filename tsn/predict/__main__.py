"""`python -m tsn.predict VIDEO… --experiment NAME`: classify any video with a finished run."""

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tsn.datasets.video_files import find_video_files
from tsn.predict.run import FinishedRun, add_run_options, run_of
from tsn.runtime.command_line import (
    Parser,
    count,
    exit_cleanly_on_sigterm,
    positive,
    run_command,
    show_log,
)
from tsn.runtime.errors import DiskFullError, UserError

_PROG = "python -m tsn.predict"
_OF_TIMELINES = ("windows", "threshold", "lowest", "shortest")

_EXAMPLES = f"""\
examples:
  The five best classes of a clip, by all modalities of an experiment:
    {_PROG} clip.mp4 -e ucf101/tsn --split 1

  A quick look by RGB alone, without computing flow:
    {_PROG} clip.mp4 -e demo/tsn --modalities rgb --crops 1

  What happens when in a film of any length, as tables, subtitles and figures:
    {_PROG} film.mp4 -e ucf101/tsn --split 1 --timeline found/

  What is in front of a camera, one line a second:
    {_PROG} --camera 0 -e demo/tsn
    ffmpeg -i ADDRESS -f mpegts - | {_PROG} --camera - -e demo/tsn

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
    parser = _parser()
    arguments = parser.parse_args(argv)
    if bool(arguments.videos) == (arguments.camera is not None):
        parser.error("name videos, or a --camera")
    dense = arguments.stride or arguments.timeline or arguments.camera
    if arguments.segments and dense is not None:
        parser.error("--segments is not for a --stride, a --timeline or a --camera")
    if arguments.saliency is not None and dense is not None:
        parser.error("--saliency is not for a --stride, a --timeline or a --camera")
    if arguments.camera is None:
        if arguments.timeline is None and (named := _given(arguments, _OF_TIMELINES)):
            parser.error(f"--{named[0]} is about segments of a --timeline")
    elif named := _given(arguments, ("timeline", "json", "strip", "video")):
        parser.error(f"--{named[0]} is about videos, not about a --camera")
    return run_command(lambda: _run(arguments))


def _given(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    return [name for name in names if getattr(arguments, name) is not None]


def _run(arguments: argparse.Namespace) -> int:
    from tsn.predict.outputs import plan_outputs

    show_log(logging.INFO)
    run = run_of(arguments)
    if arguments.camera is not None:
        return _watch(arguments, run)
    videos, _ = find_video_files(arguments.videos)
    outputs = plan_outputs(
        videos,
        arguments.json,
        arguments.strip,
        arguments.video,
        arguments.timeline,
        arguments.saliency,
    )

    # Importing torch takes seconds: errors in the arguments come first.
    from tsn.predict import figures
    from tsn.predict.ensemble import Ensemble
    from tsn.predict.moments import by_segments, find_moments
    from tsn.predict.output import JsonFile, as_dict, as_text
    from tsn.predict.saliency import write_saliency
    from tsn.predict.timeline import (
        Merging,
        detections,
        find_segments,
        write_detections,
        write_timeline,
    )
    from tsn.runtime.progress import track

    asked = _asked(arguments, ("segments", "crops", "stride"))
    if arguments.stride or arguments.timeline is not None:
        asked["protocol"] = "dense"
    by_number = arguments.segments or arguments.saliency is not None
    test = replace(by_segments(run.protocol) if by_number else run.protocol, **asked)
    merging = Merging(**_asked(arguments, _OF_TIMELINES))
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads, arguments.flow_weights)
    about = {
        "run": str(run.folder),
        "dataset": run.dataset,
        "experiment": run.experiment,
        "weights": ensemble.weights,
        "fuse": run.fuse,
        "models": {modality: run.sha256[modality] for modality in ensemble.weights},
        "test": (
            {"segments": test.segments, "crops": test.crops}
            if test.protocol == "segments"
            else {"stride": test.stride, "crops": test.crops}
        ),
    }
    results = JsonFile(arguments.json, about) if arguments.json else None
    found: dict[str, list[dict]] = {}
    failed = False
    for video in track(videos, len(videos), "videos", "predict"):
        try:
            files, segments, classes = outputs[video], [], ensemble.classes
            stem = files.get("timeline")
            partial = stem.with_name(f"{stem.name}.partial.npz") if stem else None
            if "saliency" in files:
                moments = find_moments(ensemble, str(video))
                write_saliency(files["saliency"], moments, ensemble)
                prediction = moments.prediction
            else:
                prediction = ensemble.predict(str(video), partial)
            if stem and prediction.timeline:
                segments = find_segments(prediction.timeline, merging)
                write_timeline(stem, str(video), prediction.timeline, segments, classes)
                name = str(stem.relative_to(arguments.timeline))
                found[name] = detections(segments, classes)
                write_detections(Path(arguments.timeline) / "detections.json", found)
            if "strip" in files:
                figures.write_strip(files["strip"], prediction, classes, arguments.top)
            if "video" in files:
                figures.write_video(files["video"], prediction, classes, arguments.top, segments)
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
        if stem and not segments:
            print(
                f"  no segment of {merging.shortest:g} s (--shortest) in which a class reaches "
                f"{merging.threshold:g} (--threshold)",
                flush=True,
            )
    return 1 if failed else 0


def _watch(arguments: argparse.Namespace, run: FinishedRun) -> int:
    import numpy as np

    from tsn.predict.ensemble import Ensemble
    from tsn.predict.live import watch

    # Ten crops of each snippet would be late.
    test = replace(run.protocol, crops=arguments.crops or 1)
    ensemble = Ensemble(run, test, arguments.modalities, arguments.threads, arguments.flow_weights)
    window = max(arguments.windows or (4.0,))
    for moment in watch(ensemble, arguments.camera, window, arguments.stride or 1.0):
        order = np.argsort(-moment.probabilities)[: arguments.top]
        ranked = "  ".join(
            f"{ensemble.classes[n]} {100 * moment.probabilities[n]:.0f} %" for n in order
        )
        print(f"{datetime.now():%H:%M:%S}  {ranked}  (latency {moment.latency:.2f} s)", flush=True)
    return 0


def _asked(arguments: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """The options that were given, by name."""
    return {name: getattr(arguments, name) for name in _given(arguments, names)}


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
    add("videos", nargs="*", metavar="VIDEO", help="a video, or a folder: all videos below it")
    add(
        "--camera", metavar="SOURCE",
        help="instead of videos: a camera's number, the address of a stream, a pipe, or - for "
        "standard input; a line a second (default: 1 crop)",
    )  # fmt: skip
    add_run_options(parser)
    add("--segments", type=count, metavar="N", help="snippets a video (default: as tested)")
    add(
        "--saliency", metavar="OUT",
        help="draw where each network looks in the most telling snippets: a .png, or a folder",
    )  # fmt: skip
    add("--crops", type=int, choices=(1, 5, 10), help="crops a snippet (default: as tested)")
    add(
        "--stride", type=_seconds, metavar="S",
        help="a snippet every S seconds, however long the video is, instead of --segments",
    )  # fmt: skip
    add(
        "--timeline", metavar="FOLDER",
        help="write what happens when (--stride is 1 unless given): .csv, .srt, .vtt, .png, and "
        "detections.json for all videos",
    )  # fmt: skip
    add(
        "--window", dest="windows", nargs="+", type=_seconds, metavar="S",
        help="seconds that scores are averaged over; segments of several compete (default: 2; of a "
        "--camera 4)",
    )  # fmt: skip
    add(
        "--threshold", type=_fraction, metavar="P",
        help="a segment has a moment of at least this probability (default: 0.5)",
    )  # fmt: skip
    add(
        "--lowest", type=_fraction, metavar="P",
        help="and lasts while its class has at least this one (default: 0.25)",
    )  # fmt: skip
    add(
        "--shortest", type=_seconds, metavar="S",
        help="leave shorter segments out (default: 1)",
    )  # fmt: skip
    add("--top", type=count, default=5, metavar="N", help="classes to show (default: 5)")
    add("--json", metavar="FILE", help="write the predictions for programs, video by video")
    add("--strip", metavar="OUT", help="draw frames beside the best classes: a .png, or a folder")
    add(
        "--video",
        metavar="OUT",
        help="show the video beside the best classes: an .mp4, or a folder",
    )
    return parser


def _seconds(text: str) -> float:
    return positive(text, 86400)


def _fraction(text: str) -> float:
    return positive(text, 1)


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
