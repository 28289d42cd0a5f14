"""Micro-batches that share a pass of the network train it as passes of their own do."""

import pytest
import torch
from torch import nn

from tsn.models.backbones import Backbone
from tsn.models.preprocessing import IMAGENET
from tsn.training import fit


class OfWindows(nn.Module):
    """Layers that are passed by each place of an image as a row of its own."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        rows = x.permute(0, 2, 3, 1)
        return self.layers(rows.flatten(0, 2)).view(rows.shape).permute(0, 3, 1, 2)


@pytest.fixture
def _random_and_normalised(monkeypatch):
    """A backbone with batch normalisation and dropout of its own."""

    def build(name, weights, sha256=None, modality="rgb"):
        layers = nn.Conv2d(3, 8, 5, stride=4), nn.BatchNorm2d(8, momentum=0.3), nn.Dropout2d(0.3)
        windows = OfWindows(nn.BatchNorm1d(8), nn.Dropout(0.2))
        pooled = nn.AdaptiveAvgPool2d(2), nn.Flatten()
        return Backbone(name, nn.Sequential(*layers, windows, *pooled), 32, 3, IMAGENET)

    monkeypatch.setattr("tsn.models.network.build_backbone", build)


@pytest.fixture
def passes(monkeypatch):
    """How many videos the micro-batches of each pass have."""
    passes = []
    own = fit.SharedPass.of

    def watched(self, images, *rest):
        passes.append([number // 2 for number in images])  # two segments
        return own(self, images, *rest)

    monkeypatch.setattr(fit.SharedPass, "of", watched)
    return passes


@pytest.fixture
def alone_and_shared(_random_and_normalised, run, make_job, monkeypatch, passes):
    """A function that trains on 8 videos, in micro-batches of 3, 3 and 2, without and with shared
    passes. The results, and how many videos the micro-batches of each pass had in the second."""

    def train(that_fit=fit.passes_that_fit):
        recipe = {"epochs": 4, "lr_milestones": (), "dropout": 0.5, "lr": 0.1, "precision": "fp32"}
        job = make_job(batch_size=8, micro_batch=3, **recipe)
        with monkeypatch.context() as patch:
            patch.setattr(fit, "passes_that_fit", lambda device: 1)
            alone = run(job, "alone")
        monkeypatch.setattr(fit, "passes_that_fit", that_fit)
        passes.clear()
        return alone, run(job, "shared"), passes

    return train


def assert_close(shared, alone, tolerance: float) -> None:
    for key, value in alone.state.items():
        assert torch.allclose(shared.state[key], value, rtol=tolerance, atol=1e-6), key
    losses = [[float(row["loss"]) for row in result.log] for result in (alone, shared)]
    assert losses[1] == pytest.approx(losses[0], rel=tolerance)


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(("at_once", "later"), [(2, [[3, 3], [2]]), (8, [[3, 3, 2]])])
def test_the_network_is_that_of_passes_of_their_own(alone_and_shared, at_once, later):
    alone, shared, passes = alone_and_shared(lambda device: at_once)
    assert passes == [[3], [3], [2]] + 3 * later
    assert_close(shared, alone, 1e-4)


@pytest.mark.gpu
def test_a_gpu_takes_as_many_as_fit(alone_and_shared, monkeypatch):
    monkeypatch.setattr("torch.backends.cudnn.allow_tf32", False)
    alone, shared, passes = alone_and_shared()
    assert passes == [[3], [3], [2]] + 3 * [[3, 3, 2]]
    assert_close(shared, alone, 1e-3)


@pytest.mark.usefixtures("on_cpu")
def test_how_many_fit_is_measured_on_a_whole_batch(
    run, run_until, make_job, monkeypatch, tiny_network, passes
):
    """Of 8 videos in batches of 5 and 3; resumed before one of 3."""
    job = make_job(batch_size=5, micro_batch=4)
    run_until(job, 1)
    passes.clear()
    monkeypatch.setattr(fit, "passes_that_fit", lambda device: 2)
    run(job)
    assert passes == [[3], [4], [1], [3], [4, 1], [3]]


@pytest.mark.usefixtures("on_cpu")
def test_a_cpu_takes_one_at_a_time(alone_and_shared):
    assert alone_and_shared()[2] == 4 * [[3], [3], [2]]
