"""A fixed tiny training: its losses are stored, and a kill at any moment changes nothing."""

import random
import signal
import subprocess
import sys
import time

import pytest
from torch import nn

from tests.training.conftest import equal, result_of, timeless
from tsn.models.backbones import Backbone
from tsn.models.preprocessing import IMAGENET
from tsn.training.job import write_task

pytestmark = pytest.mark.slow

LOSSES: dict[str, list[float]] = {
    "rgb": [0.686371, 0.649253, 0.575792, 0.725075, 0.472332, 0.689259],
    "flow": [0.679608, 0.582539, 0.45516, 0.733697, 0.287268, 0.74482],
}
"""Mean loss of each of 6 epochs, from torch 2.15 on x86-64 (with AVX-512 and with SSE 4.1 alike). A
change of these is a change of what is trained: make sure that it is meant, and say so."""


@pytest.fixture
def golden(make_job, monkeypatch):
    """Two convolutions with batch normalisation, 32 px, two iterations an epoch."""

    def build(name, weights, sha256=None, modality="rgb"):
        layers = [nn.Conv2d(3, 8, 5, stride=2), nn.BatchNorm2d(8), nn.ReLU()]
        layers += [nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU()]
        net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        return Backbone(name, net, 64, 3, IMAGENET)

    monkeypatch.setattr("tsn.models.network.build_backbone", build)
    return lambda modality: make_job(modality, epochs=6, lr_milestones=(4,), lr=0.01, micro_batch=3)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("modality", LOSSES)
def test_a_fixed_training_has_the_stored_losses(run, golden, modality):
    log = run(golden(modality)).log
    assert [float(row["loss"]) for row in log] == pytest.approx(LOSSES[modality], abs=1e-5)


@pytest.fixture
def start(monkeypatch):
    """A function that starts the training of a task file in a process of its own."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    command = [sys.executable, "-m", "tsn.training", "--save-seconds", "0"]
    return lambda file: subprocess.Popen([*command, str(file)], stderr=subprocess.DEVNULL)


def wait_for(condition, process, seconds=600) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the training ended"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_killed_at_three_random_moments_ends_bit_for_bit_alike(
    make_task, make_job, start, tmp_path
):
    """A real process and SIGKILL. The state is saved after every iteration, so that many kills fall
    into the writing of it."""
    seed = random.randrange(1 << 30)
    print("seed of the moments:", seed)
    moments = random.Random(seed)
    job = make_job(epochs=20, lr_milestones=(16,), batch_size=4, micro_batch=2, validation=0.25)
    tasks = {name: make_task(job, name) for name in ("undisturbed", "killed")}
    for name, task in tasks.items():
        write_task(tmp_path / f"{name}.json", task)
    undisturbed = start(tmp_path / "undisturbed.json")
    assert undisturbed.wait(600) == 0
    folder = tmp_path / "killed"
    for _ in range(3):
        process = start(tmp_path / "killed.json")
        seen = {path: path.stat().st_mtime_ns for path in folder.glob(".training-*.pt")}

        def saved(seen=seen):
            found = {path: path.stat().st_mtime_ns for path in folder.glob(".training-*.pt")}
            return bool(found) and found != seen

        wait_for(saved, process)
        time.sleep(moments.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "model.pt").exists()
    assert start(tmp_path / "killed.json").wait(600) == 0
    expected, found = result_of(tasks["undisturbed"]), result_of(tasks["killed"])
    assert equal(found.state, expected.state)
    assert timeless(found.log) == timeless(expected.log)
    left = {path.name for path in folder.iterdir()}
    assert left == {path.name for path in (tmp_path / "undisturbed").iterdir()}
