"""Running a training on the tiny set."""

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from tsn.models.backbones import Backbone
from tsn.models.preprocessing import IMAGENET
from tsn.training import fit
from tsn.training.checkpoint import load_model
from tsn.training.job import Task, TrainingFiles
from tsn.training.train import train


@dataclass(frozen=True)
class Result:
    """The state dict of model.pt, the rows of the log, and the folder."""

    state: dict
    log: list[dict]
    folder: Path


@pytest.fixture
def make_task(tmp_path, tiny_set):
    """A function that gives the `Task` of a job in a folder."""

    def make(job, folder="run", tiny=tiny_set, threads=1) -> Task:
        at = tmp_path / folder
        stream = "flow" if job.modality == "flow" else "rgb"
        names = (str(at / name) for name in ("model.pt", "training.csv"))
        return Task(
            job, TrainingFiles(str(tiny.index), tuple(tiny.shards[stream]), *names), threads
        )

    return make


def result_of(task: Task) -> Result:
    with Path(task.files.log).open() as rows:
        log = list(csv.DictReader(rows))
    model = Path(task.files.model)
    return Result(load_model(model)[0].state_dict(), log, model.parent)


@pytest.fixture
def run(make_task):
    """A function that trains a job in a folder."""

    def go(job, folder="run", save_seconds=60.0, **where) -> Result:
        task = make_task(job, folder, **where)
        train(task, save_seconds)
        return result_of(task)

    return go


@pytest.fixture
def run_until(run, monkeypatch):
    """A function that trains a job, saving every state, and is stopped before an iteration."""

    def go(job, iteration: int, **where) -> None:
        def stop(setup, state):
            if state.iteration == iteration:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            before_each_step(patch, stop)
            run(job, save_seconds=0, **where)

    return go


def before_each_step(monkeypatch, act) -> None:
    """Call `act(setup, state)` before every optimiser step."""
    step = fit.training_step

    def acting(setup, state, *rest):
        act(setup, state)
        step(setup, state, *rest)

    monkeypatch.setattr(fit, "training_step", acting)


def equal(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def timeless(log: list[dict]) -> list[dict]:
    """The log without what depends on the clock."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "waiting")} for row in log]


@pytest.fixture
def tiny_network(monkeypatch):
    """A backbone of two layers without batch normalisation and dropout."""

    def build(name, weights, sha256=None, modality="rgb"):
        layers = nn.Conv2d(3, 8, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
        return Backbone(name, nn.Sequential(*layers), 32, 3, IMAGENET)

    monkeypatch.setattr("tsn.models.network.build_backbone", build)
