"""Training from a task file, alone or as one of several processes that torchrun starts.

python -m tsn.training TASK.json
torchrun --standalone --nproc-per-node 4 -m tsn.training TASK.json
"""

import argparse
import logging
import os
import sys
from pathlib import Path

from tsn.runtime.errors import UserError
from tsn.runtime.files import write_text
from tsn.training.fit import SAVE_SECONDS
from tsn.training.job import read_task
from tsn.training.train import train


def main(arguments: list[str] | None = None) -> int:
    """Train; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tsn.training", description="Train from the JSON of a training task."
    )
    parser.add_argument("task", type=Path, help="the task, as tsn.training.job.write_task writes")
    parser.add_argument(
        "--save-seconds",
        type=float,
        default=SAVE_SECONDS,
        help="how often the state is saved: the work that a kill may cost (default: %(default)s)",
    )
    parser.add_argument("--error-file", type=Path, help="where to write the message of an error")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        train(read_task(options.task), options.save_seconds)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        if options.error_file:
            write_text(options.error_file, str(error))
        # Not a return: destructors of the communication would wait for the other processes.
        os._exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
