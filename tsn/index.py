"""What a configuration would use of its data sets: `python -m tsn.index my.yaml [DATASET …]`.

Reads lists and folders; computes and writes nothing.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tsn.config.experiments import Configuration, Settings
from tsn.config.load import read_config, with_current_names_of_all
from tsn.datasets.build_index import report
from tsn.datasets.listing import check_usable, list_videos
from tsn.runtime.command_line import Parser, run_command
from tsn.runtime.errors import UserError

DEFAULTS = Path(__file__).parents[1] / "config" / "config.yaml"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status, 1 if a data set cannot be used as it is."""
    parser = Parser(prog="python -m tsn.index", description=__doc__)
    parser.add_argument("config", help="your file of the configuration")
    parser.add_argument("datasets", nargs="*", help="names under datasets; all of the file's own")
    parser.add_argument("--results", default="results", help="where the demo set is rendered")
    options = parser.parse_args(arguments)
    return run_command(lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    files = (DEFAULTS, Path(options.config))
    layers, warnings = with_current_names_of_all(map(read_config, files))
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    configuration = Configuration(*layers)
    names = options.datasets or [str(name) for name in layers[1].get("datasets") or {}]
    if not names:
        raise UserError(f"{options.config}: it has no datasets; name those that you mean")
    problems = [
        _show(configuration.settings(name, configuration.experiment), Path(options.results))
        for name in names
    ]
    for problem in filter(None, problems):
        print(f"error: {problem}", file=sys.stderr)
    return int(any(problems))


def _show(settings: Settings, results: Path) -> str:
    """Print what there is; returns what stops a run, "" if nothing does."""
    data, dataset = settings.data, settings.dataset
    listing = list_videos(dataset, results)
    print(f"{dataset.name}\n{report(listing, dataset.splits, data.missing == 'exclude')}")
    try:
        check_usable(listing, dataset, data.invalid_rows == "refuse")
    except UserError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
