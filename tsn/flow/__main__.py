"""`python -m tsn.flow VIDEO… -o OUT`: optical flow of videos, without the pipeline."""

import argparse
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from tsn.config.fields import keys_of
from tsn.config.tvl1_params import TVL1Params
from tsn.models.modality import MAX_FLOW_STEP
from tsn.runtime.command_line import Parser, cores, exit_cleanly_on_sigterm, run_command, show_log
from tsn.runtime.errors import UserError
from tsn.video import MAX_SIDE
from tsn.video.naming import WRITABLE

if TYPE_CHECKING:
    from tsn.flow.export.plan import ExportJob, Target

SHARD_SIZE = (340, 256)
"""Default width and height in px of a shard's flow, as in the pipeline."""

MAX_THREADS = 1024
"""Every thread has a pair's state in memory: 10 MB at 340 x 256."""

_PROG = "python -m tsn.flow"

_FORMATS = """\
formats:
  h5     one file for all videos, as the pipeline trains on: uint8, quantised within --bound
  npy    OUT/NAME.npy, float32 (pairs, 2, height, width): x and y in pixels
  flo    OUT/NAME/000000.flo, 000001.flo, ...: Middlebury's format, float32
  kitti  OUT/NAME/000000.png, 000001.png, ...: KITTI's format, 16 bits, 1/64 pixels
  jpg    OUT/NAME/flow_x_00001.jpg, flow_y_00001.jpg, ...: quantised within --bound, as TSN,
         mmaction2 and others train on; --naming denseflow counts from 0
  zip    OUT/NAME.zip: the same in an archive
  mp4    OUT/NAME.mp4: the frames beside their flow, colour-coded
  png    OUT/NAME.png: four frames of the video above their flow

  A video of N frames has N-1 pairs; flow t is the motion from frame t to t+1 (--step 2: N-2, to
  t+2), x to the right, y down. Colours: hue is direction, the stronger the faster, white does not
  move.
"""

_EXAMPLES = f"""\
examples:
  Look at the flow of a clip, as an image and as a video with warped flow:
    {_PROG} clip.mp4 -o clip.png
    {_PROG} clip.mp4 -o flow.mp4 --warped

  All videos below a folder as arrays, at half of 640x480, and reading one:
    {_PROG} videos/ -o flow --format npy --size 320x240
    python -c "import numpy; print(numpy.load('flow/clip.npy', mmap_mode='r').shape)"

  Shards to train on, flow.h5 and flow.warped.h5, with OpenCV's own implementation:
    {_PROG} videos/ -o flow.h5 --warped --backend opencv
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
    from tsn.flow.export.plan import choose_target, find_videos, plan_jobs

    target = choose_target(arguments.out, arguments.format)
    _check_options_fit(arguments, target.format)
    params = TVL1Params(**{f.name: getattr(arguments, f.name) for f in fields(TVL1Params)})
    sources = find_videos(arguments.videos, target)
    jobs, kept = plan_jobs(sources, target, arguments.warped, arguments.force)
    if kept:
        print(
            f"{kept} output(s) exist and are kept as they are; --force makes them anew",
            file=sys.stderr,
        )
    if not jobs:
        return 0
    return _export(arguments, params, target, jobs)


def _export(
    arguments: argparse.Namespace, params: TVL1Params, target: "Target", jobs: "list[ExportJob]"
) -> int:
    # Importing and compiling the engine takes seconds: errors in the arguments come first.
    from tsn.flow.algorithms import create_estimator
    from tsn.flow.export.chunks import Options
    from tsn.flow.export.run import export
    from tsn.flow.quantise import BOUND

    show_log(logging.INFO)
    options = Options(
        create_estimator(
            arguments.algorithm,
            params,
            arguments.backend,
            arguments.threads,
            arguments.weights or "default",
            arguments.sha256,
            arguments.step,
        ),
        arguments.threads,
        arguments.warped,
        arguments.size or (SHARD_SIZE if target.format == "h5" else None),
        arguments.bound or BOUND,
        arguments.max_magnitude,
        arguments.naming or WRITABLE[0],
    )
    failures = export(jobs, target.format, options)
    count = sum(len(job.sources) for job in jobs)
    print(f"{target.path}: {count - len(failures)} of {count} video(s) done", file=sys.stderr)
    for error in failures.values():
        print(f"failed: {error}", file=sys.stderr)
    return 1 if failures else 0


def _check_options_fit(arguments: argparse.Namespace, format: str) -> None:
    images = ("jpg", "zip")
    belongs = {"bound": ("h5", *images), "naming": images, "max_magnitude": ("mp4", "png")}
    for name, formats in belongs.items():
        if getattr(arguments, name) is not None and format not in formats:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} has no effect on the format {format}, only on "
                f"{' and '.join(formats)}; leave it out"
            )
    raft = ("raft", "raft_small")
    tvl1_only = {field.name: field.default for field in fields(TVL1Params)} | {"backend": "auto"}
    for algorithms, options in ((("tvl1",), tvl1_only), (raft, {"weights": None, "sha256": None})):
        for name, default in options.items():
            if getattr(arguments, name) != default and arguments.algorithm not in algorithms:
                raise UserError(
                    f"--{name.strip('_').replace('_', '-')} has no effect on the algorithm "
                    f"{arguments.algorithm}, only on {' and '.join(algorithms)}; leave it out"
                )


def _parser() -> argparse.ArgumentParser:
    from tsn.flow.algorithms import ALGORITHMS
    from tsn.flow.export.plan import ENDINGS
    from tsn.flow.tvl1 import BACKENDS

    parser = Parser(
        prog=_PROG,
        usage="%(prog)s VIDEO... -o OUT [options]",
        description="Optical flow of videos: as data to train on, or to look at.",
        epilog=_FORMATS + "\n" + _EXAMPLES,
        formatter_class=_layout,
        allow_abbrev=False,
        add_help=False,
    )
    add = parser.add_argument_group("input and output").add_argument
    add("videos", nargs="+", metavar="VIDEO", help="a video, or a folder: all videos below it")
    add("-o", "--out", required=True, metavar="OUT", help="a folder, or a file such as flow.h5")
    add(
        "-f", "--format", choices=ENDINGS, metavar="F",
        help=f"{', '.join(ENDINGS)}; see below (default: what OUT ends in, else h5)",
    )  # fmt: skip
    add("-w", "--warped", action="store_true", help="also flow without the camera's motion")
    add(
        "-s", "--size", type=_size, metavar="WxH",
        help="resize frames to this first (default: {}x{} for h5, else none)".format(*SHARD_SIZE),
    )  # fmt: skip
    add("--force", action="store_true", help="replace outputs that exist, instead of keeping them")
    add(
        "--bound", type=_pixels, metavar="PX",
        help="h5, jpg, zip: motion beyond this is clipped (default: 20)",
    )  # fmt: skip
    add("--naming", choices=WRITABLE, help=f"jpg, zip: of the images (default: {WRITABLE[0]})")
    add(
        "--max-magnitude", type=_pixels, metavar="PX",
        help="mp4, png: motion shown in full colour (default: fitted to each video)",
    )  # fmt: skip
    add("-h", "--help", action="help", help="show this help and exit")
    add = parser.add_argument_group("computing").add_argument
    add(
        "-j", "--threads", type=_threads, metavar="N", default=cores(),
        help="pairs computed at a time (default: %(default)s, one for each core here)",
    )  # fmt: skip
    add(
        "-a", "--algorithm", choices=ALGORITHMS, metavar="A", default="tvl1",
        help=f"{', '.join(ALGORITHMS)} (default: tvl1, to which --backend and what follows it "
        "belong)",
    )  # fmt: skip
    add(
        "--step", type=int, choices=range(1, MAX_FLOW_STEP + 1), metavar="N", default=1,
        help=f"frames from the first to the second of a pair, 1 to {MAX_FLOW_STEP} "
        "(default: %(default)s)",
    )  # fmt: skip
    add("--weights", metavar="W", help="raft, raft_small: torchvision's name, or a file")
    add("--sha256", metavar="HEX", help="checksum of the weights")
    add(
        "--backend", choices=BACKENDS, metavar="B", default="auto",
        help=f"{', '.join(BACKENDS)}; auto is opencv_cuda where that runs and is the "
        "variant, else native: native_cuda where that runs, else native_cpu",
    )  # fmt: skip
    explained = keys_of(TVL1Params)
    for field in fields(TVL1Params):
        add(
            "--" + field.name.strip("_").replace("_", "-"),
            dest=field.name,
            type=type(field.default),
            default=field.default,
            metavar="N" if isinstance(field.default, int) else "X",
            help=f"{explained[field.name].description} (default: %(default)s)".replace("`", ""),
        )
    return parser


def _layout(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=22, width=98)


def _size(text: str) -> tuple[int, int]:
    sides = re.fullmatch(r"([0-9]+)x([0-9]+)", text)
    if not sides:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give width x height, as 320x240")
    width, height = int(sides[1]), int(sides[2])
    if not 1 <= min(width, height) <= max(width, height) <= MAX_SIDE:
        raise argparse.ArgumentTypeError(f"{text!r}: a side has 1 to {MAX_SIDE} px")
    return width, height


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_THREADS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of threads: give 1 to {MAX_THREADS}"
        )
    return int(text)


def _pixels(text: str) -> float:
    from tsn.flow.quantise import MAX_BOUND, MIN_BOUND, check_bound

    try:
        check_bound(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no motion in px: give {MIN_BOUND} to {MAX_BOUND}"
        ) from None
    return float(text)


if __name__ == "__main__":
    exit_cleanly_on_sigterm()
    sys.exit(main())
