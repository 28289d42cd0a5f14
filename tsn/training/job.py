"""A training job: what is trained on what."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tsn.config.fields import build
from tsn.config.schema import ModelConfig, TrainingConfig
from tsn.runtime.errors import UserError
from tsn.runtime.files import write_json


@dataclass(frozen=True)
class TrainingJob:
    """What is trained on what: names for the record, and everything that determines the result."""

    dataset: str
    experiment: str
    split: int
    modality: str
    seed: int
    model: ModelConfig
    recipe: TrainingConfig


@dataclass(frozen=True)
class TrainingFiles:
    """What a training reads (`index`, `shards`) and writes (`model`, `log`).

    Beside the model file lie, undeclared, `best.pt` or `last.pt` (with validation), the saved
    state while it runs, and the folder `tensorboard` where that package is installed.
    """

    index: str
    shards: tuple[str, ...]
    model: str
    log: str


@dataclass(frozen=True)
class Task:
    """A training job with its files and the CPU threads of each process."""

    job: TrainingJob
    files: TrainingFiles
    threads: int


def write_task(path: Path | str, task: Task) -> None:
    """Write a task as JSON."""
    write_json(path, asdict(task))


def read_task(path: Path | str) -> Task:
    """The task that `write_task` wrote.

    Raises:
        UserError: if the file is absent or is no task.
    """
    try:
        task = json.loads(Path(path).read_text(encoding="utf-8"))
        job = {
            **task["job"],
            "model": build(ModelConfig, task["job"]["model"]),
            "recipe": build(TrainingConfig, task["job"]["recipe"]),
        }
        return Task(TrainingJob(**job), build(TrainingFiles, task["files"]), int(task["threads"]))
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; give a training task") from None
    except (UserError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a training task ({error}); write it anew") from None
