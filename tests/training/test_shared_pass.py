"""Micro-batches that share a pass of the network train it as passes of their own do."""

import pytest
import torch
from torch import nn

from tsn.models.backbones import Backbone
from tsn.models.preprocessing import IMAGENET
from tsn.training import fit


@pytest.fixture
def _random_and_normalised(monkeypatch):
    """A backbone with batch normalisation and dropout of its own."""

    def build(name, weights, sha256=None, modality="rgb"):
        layers = nn.Conv2d(3, 8, 5, stride=4), nn.BatchNorm2d(8, momentum=0.3), nn.Dropout2d(0.3)
        pooled = nn.AdaptiveAvgPool2d(2), nn.Flatten()
        return Backbone(name, nn.Sequential(*layers, *pooled), 32, 3, IMAGENET)

    monkeypatch.setattr("tsn.models.network.build_backbone", build)


@pytest.mark.usefixtures("_random_and_normalised")
@pytest.mark.parametrize("at_once", [2, 8])
def test_the_network_is_that_of_passes_of_their_own(run, make_job, monkeypatch, at_once):
    """Batches of 8 videos: micro-batches of 3, 3 and 2, in passes of 3, 3, 2 at first, then of
    6 and 2, or of 8."""
    job = make_job(batch_size=8, micro_batch=3, epochs=4, lr_milestones=(), dropout=0.5, lr=0.1)
    alone = run(job, "alone")
    passes = []
    own = fit.SharedPass.of

    def watched(self, images, *rest):
        passes.append(images)
        return own(self, images, *rest)

    monkeypatch.setattr(fit.SharedPass, "of", watched)
    monkeypatch.setattr(fit, "passes_that_fit", lambda device: at_once)
    shared = run(job, "shared")
    sizes = [[3], [3], [2]] + 3 * ([[3, 3], [2]] if at_once == 2 else [[3, 3, 2]])
    assert passes == [[2 * videos for videos in images] for images in sizes]  # two segments
    for key, value in alone.state.items():
        assert torch.allclose(shared.state[key], value, rtol=1e-4, atol=1e-6), key
    losses = [[float(row["loss"]) for row in result.log] for result in (alone, shared)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
