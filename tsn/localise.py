"""`python -m tsn.localise DETECTIONS TRUTH`: mean average precision of detected segments."""

import argparse
import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tsn.evaluation.localisation import (
    AMBIGUOUS,
    THRESHOLDS,
    Event,
    average_precisions,
    mean_average_precision,
)
from tsn.runtime.command_line import Parser, run_command
from tsn.runtime.errors import UserError
from tsn.runtime.files import write_json

_PROG = "python -m tsn.localise"
_EXAMPLES = f"""\
examples:
  What `python -m tsn.predict --timeline OUT` found, against a table of true segments:
    {_PROG} OUT/detections.json truth.csv

  ActivityNet's validation set:
    {_PROG} detections.json activity_net.v1-3.min.json --subset validation

Both files are JSON as ActivityNet's, or CSV with the columns video, label, start and end (seconds)
and, for detections, score.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: its arguments; None for those of the process.

    Returns:
        The exit status: 0, or 1 if a file is wrong.
    """
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> None:
    truth = read_events(Path(arguments.truth), arguments.subset)
    detected = read_events(Path(arguments.detections), None, scored=True)
    if not any(event.label != AMBIGUOUS for event in truth):
        part = f" of the subset {arguments.subset}" if arguments.subset else ""
        raise UserError(f"{arguments.truth}: it has no segments{part}; name another list or subset")
    unknown = {event.label for event in detected} - {event.label for event in truth}
    means = mean_average_precision(detected, truth, THRESHOLDS, arguments.rule)
    videos = len({event.video for event in truth})
    print(f"{len(detected)} detections, {len(truth)} true segments in {videos} videos")
    if unknown:
        some = ", ".join(sorted(unknown)[:3])
        print(f"{len(unknown)} detected classes have no true segment and do not count: {some}")
    for threshold, value in means.items():
        print(f"  tIoU {threshold:.1f}  mAP {100 * value:5.1f} %")
    print(f"  mean      mAP {100 * sum(means.values()) / len(means):5.1f} %")
    if arguments.json:
        by_class = {
            f"{threshold:.1f}": average_precisions(detected, truth, threshold, arguments.rule)
            for threshold in THRESHOLDS
        }
        means_by_name = {f"{threshold:.1f}": value for threshold, value in means.items()}
        write_json(arguments.json, {"rule": arguments.rule, "map": means_by_name, "ap": by_class})


def read_events(path: Path, subset: str | None = None, scored: bool = False) -> list[Event]:
    """Read segments.

    Args:
        path: JSON as ActivityNet's ("database" or "results"), or CSV.
        subset: of the videos of a "database"; None: all.
        scored: whether the segments have scores.

    Raises:
        UserError: naming what is wrong with the file.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".json":
            return list(_from_json(json.loads(text), subset))
        rows = csv.DictReader(io.StringIO(text, newline=""))
        needed = ("video", "label", "start", "end", *(["score"] if scored else []))
        missing = [name for name in needed if name not in (rows.fieldnames or ())]
        if missing:
            raise UserError(f"{path}: there is no column {missing[0]!r}; it has {rows.fieldnames}")
        return [
            _event(r["video"], r["label"], r["start"], r["end"], r["score"] if scored else 1.0)
            for r in rows
        ]
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise UserError(
            f"{path}: is not a list of segments ({type(error).__name__}: {error}); see "
            f"{_PROG} --help"
        ) from None


def _from_json(content: dict, subset: str | None) -> Iterator[Event]:
    if "results" in content:
        for video, events in content["results"].items():
            for event in events:
                start, end = event["segment"]
                yield _event(video, event["label"], start, end, event["score"])
        return
    for video, about in content["database"].items():
        if subset in (None, about.get("subset")):
            for event in about["annotations"]:
                start, end = event["segment"]
                yield _event(video, event["label"], start, end, 1.0)


def _event(video: str, label: str, start: object, end: object, score: object) -> Event:
    numbers = [float(value) for value in (start, end, score)]  # type: ignore[arg-type]
    event = Event(str(video), str(label), *numbers)
    if not all(map(math.isfinite, numbers)):
        raise ValueError(f"a segment of {video} has a time or a score that is not finite")
    if not event.start <= event.end:
        raise ValueError(f"a segment of {video} starts at {start} and ends at {end}")
    return event


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=_PROG,
        description="Mean average precision of detected segments at tIoU 0.1 … 0.9.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("detections", metavar="DETECTIONS", help="JSON or CSV of detected segments")
    add("truth", metavar="TRUTH", help="JSON or CSV of true segments")
    add("--subset", metavar="NAME", help="only videos of this subset of an ActivityNet list")
    add(
        "--rule", choices=("activitynet", "thumos14"), default="activitynet",
        help="whose definition (default: %(default)s)",
    )  # fmt: skip
    add("--json", metavar="FILE", help="write average precisions by threshold and class")
    return parser


if __name__ == "__main__":
    sys.exit(main())
