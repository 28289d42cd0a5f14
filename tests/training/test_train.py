"""Training on eight tiny videos: it learns, repeats itself, accumulates, schedules."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import before_each_step, equal
from tsn.data.dataset import TrainingSnippets
from tsn.datasets.build_index import write_index
from tsn.datasets.index import members, read_index
from tsn.datasets.listing import Listing
from tsn.models.backbones import Backbone
from tsn.models.preprocessing import IMAGENET
from tsn.runtime.errors import UserError
from tsn.shards.store import ShardSet
from tsn.training import fit, train
from tsn.training.checkpoint import load_model
from tsn.training.log import COLUMNS
from tsn.training.train import new_network
from tsn.training.validation import hold_out

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_loss_falls_and_the_classes_are_told_apart(run, make_job, modality):
    log = run(
        make_job(modality, epochs=12, lr_milestones=(11,), model={"backbone": "resnet18"})
    ).log
    assert 0.4 < float(log[0]["loss"]) < 1.2  # ln 2 = .69 is a guess between two classes
    assert float(log[-1]["loss"]) < 0.1
    assert float(log[-1]["accuracy"]) == 1


def test_the_log_has_a_row_per_epoch(run, make_job):
    log = run(make_job(epochs=3, batch_size=3)).log
    assert tuple(log[0]) == COLUMNS
    # 8 videos in batches of 3 are 3 iterations an epoch.
    assert [(row["epoch"], row["iteration"]) for row in log] == [("0", "3"), ("1", "6"), ("2", "9")]
    assert all(float(row["gradient_norm"]) > 0 for row in log)


def test_the_same_seed_gives_the_same_weights_bit_for_bit(run, make_job):
    first = run(make_job(), "first").state
    assert equal(run(make_job(), "second").state, first)
    assert not equal(run(make_job(seed=2), "third").state, first)


@pytest.mark.parametrize("micro_batch", [1, 2, 4])
def test_accumulated_gradients_are_those_of_the_whole_batch(
    run, make_job, tiny_network, micro_batch
):
    """8 videos in batches of 6: the second batch of an epoch has 2, cut unevenly."""
    recipe = {"batch_size": 6, "dropout": 0.0, "clip_gradient": 0.5}
    whole = run(make_job(micro_batch=6, **recipe), "whole").state
    cut = run(make_job(micro_batch=micro_batch, **recipe), "cut").state
    for key in whole:
        assert torch.allclose(cut[key], whole[key], rtol=1e-4, atol=1e-6), key
    start = run(make_job(micro_batch=6, **{**recipe, "lr": 1e-12}), "start").state
    assert not torch.allclose(start["classifier.weight"], whole["classifier.weight"], rtol=1e-3)


def test_a_step_is_that_of_sgd_on_the_mean_loss_of_its_videos(
    run, make_job, monkeypatch, tiny_network
):
    """v = m v + g + decay w, w = w - lr v (PyTorch; Caffe's is the same while lr stays), with the
    authors' multipliers (lr_mult in their prototxt files). All 8 videos are a batch."""
    multipliers = {
        "net.0.weight": (5, 1), "net.0.bias": (10, 0),
        "classifier.weight": (1, 1), "classifier.bias": (2, 0),
    }  # fmt: skip
    weights, speeds, losses = {}, dict.fromkeys(multipliers, 0.0), []
    step = fit.training_step

    def watched(setup, state, model, *rest):
        parameters = dict(model.named_parameters())
        assert parameters.keys() == multipliers.keys()
        weights.update(weights or {n: p.detach().clone() for n, p in parameters.items()})
        items = [setup.train_set[state.iteration, n] for n in range(8)]
        clips, labels = torch.stack([clip for clip, _ in items]), [label for _, label in items]
        loss = torch.nn.functional.cross_entropy(model(clips), torch.tensor(labels))
        losses.append(loss.item())
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        step(setup, state, model, *rest)
        for (name, (rate, decay)), gradient in zip(multipliers.items(), gradients, strict=True):
            speeds[name] = 0.8 * speeds[name] + gradient + 0.3 * decay * weights[name]
            weights[name] = weights[name] - 0.01 * rate * speeds[name]

    monkeypatch.setattr(fit, "training_step", watched)
    recipe = {"epochs": 3, "lr_milestones": (), "dropout": 0.0, "clip_gradient": None}
    sgd = {"momentum": 0.8, "weight_decay": 0.3, "lr": 0.01}
    end = run(make_job("flow", batch_size=16, micro_batch=3, **recipe, **sgd))
    for name, expected in weights.items():
        assert torch.allclose(end.state[name], expected, rtol=1e-4, atol=1e-6), name
    assert [float(row["loss"]) for row in end.log] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize(
    ("length", "milestones", "expected"),
    [
        # 2 iterations an epoch
        ({"epochs": 4}, (1, 3), [1, 1, 0.1, 0.1, 0.1, 0.1, 0.01, 0.01]),
        ({"epochs": None, "iterations": 5}, (1, 3), [1, 0.1, 0.1, 0.01, 0.01]),
        ({"epochs": None, "iterations": 3}, (), [1, 1, 1]),
    ],
)
def test_the_learning_rate_is_divided_by_ten_at_every_milestone(
    run, make_job, monkeypatch, tiny_network, length, milestones, expected
):
    rates = []

    def record(setup, state, *_):
        rates.append({group["name"]: group["lr"] for group in state.optimiser.param_groups})
        state.epoch.add(torch.ones(3, dtype=torch.float64))

    monkeypatch.setattr(fit, "training_step", record)
    job = make_job("flow", **length, lr_milestones=milestones, lr=0.5)
    log = run(job).log
    assert [rate["weight"] for rate in rates] == pytest.approx([0.5 * x for x in expected])
    # Multipliers of the authors' prototxt files (lr_mult).
    for rate in rates:
        assert rate["bias"] == pytest.approx(2 * rate["weight"])
        assert rate["first_conv_weight"] == pytest.approx(5 * rate["weight"])
        assert rate["first_conv_bias"] == pytest.approx(10 * rate["weight"])
    assert float(log[-1]["lr"]) == pytest.approx(0.5 * expected[-1])


def test_gradients_are_clipped_by_their_total_norm(run, make_job, monkeypatch, tiny_network):
    """One step from the same start: with momentum 0 and no decay it is lr times the gradient."""
    recipe = {
        "epochs": None,
        "iterations": 1,
        "lr_milestones": (),
        "momentum": 0.0,
        "weight_decay": 0.0,
    }
    start = run(make_job(**{**recipe, "lr": 1e-12}), "start").state
    limit = 1e-3
    clipped = run(make_job(clip_gradient=limit, **recipe), "clipped").state
    free = run(make_job(clip_gradient=None, **recipe), "free").state

    def gradient_norm(end: dict) -> float:
        total = 0.0
        for key in ("classifier.weight", "classifier.bias", "net.0.weight", "net.0.bias"):
            multiplier = 2 if key.endswith("bias") else 1
            total += float((((end[key] - start[key]) / (0.01 * multiplier)) ** 2).sum())
        return total**0.5

    assert gradient_norm(clipped) == pytest.approx(limit, rel=0.05)
    assert gradient_norm(free) > 10 * limit


def test_running_statistics_are_those_of_every_micro_batch(run, make_job, monkeypatch):
    """They are what a plain BatchNorm2d has that has seen the same."""
    seen = []

    def build(name, weights, sha256=None, modality="rgb"):
        layers = torch.nn.Conv2d(3, 8, 5, stride=4), torch.nn.BatchNorm2d(8, momentum=0.3)
        layers[1].register_forward_pre_hook(
            lambda layer, x: seen.append(x[0].detach()) if layer.training else None
        )
        pooled = torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
        return Backbone(name, torch.nn.Sequential(*layers, *pooled), 32, 3, IMAGENET)

    monkeypatch.setattr("tsn.models.network.build_backbone", build)
    state = run(make_job(epochs=2, lr_milestones=(), batch_size=6, micro_batch=4)).state
    assert [len(x) for x in seen] == 2 * [2 * 4, 2 * 2, 2 * 2]  # two snippets a video
    plain = torch.nn.BatchNorm2d(8, momentum=0.3)
    for x in seen:
        plain(x)
    for name, expected in plain.named_buffers():
        assert torch.allclose(state[f"net.1.{name}"], expected, rtol=1e-4, atol=1e-6), name


def test_dropout_is_seeded_by_its_position(run, make_job, monkeypatch, tiny_network):
    """Seed, iteration, and micro-batch within it: nothing that a resumed run would not know."""
    places = []
    monkeypatch.setattr("tsn.training.shared_pass.seed_step", lambda *place: places.append(place))
    run(make_job(seed=7, batch_size=6, micro_batch=3, epochs=2, lr_milestones=()))
    assert places == [(7, 0, 0), (7, 0, 1), (7, 1, 0), (7, 2, 0), (7, 2, 1), (7, 3, 0)]


def test_a_loss_that_is_not_finite_is_an_error_and_leaves_no_model(run, make_job, tmp_path):
    with pytest.raises(UserError, match=r"training\.lr.*rgb.*not finite.*lower"):
        run(make_job(lr=1e30, clip_gradient=None))
    assert not (tmp_path / "run" / "model.pt").exists()


def test_quarantined_videos_are_not_trained_on(run, make_job, make_tiny_set, monkeypatch):
    seen = set()
    before_each_step(
        monkeypatch,
        lambda setup, state: seen.update(video.id for video in setup.train_set.videos),
    )
    run(make_job(epochs=1, lr_milestones=()), tiny=make_tiny_set(bad=("red/1", "blue/2")))
    assert sorted(seen) == ["blue/0", "blue/1", "blue/3", "red/0", "red/2", "red/3"]


def test_a_training_is_of_its_own_seed_and_leaves_out_what_it_validates_on(
    run, make_job, monkeypatch, tiny_network, make_tiny_set
):
    """Groups are the numbers of the videos: red/2 goes with blue/2."""
    job, tiny_set = make_job(validation=0.25, seed=7, segments=3), make_tiny_set()
    videos = read_index(tiny_set.index)
    grouped = tuple(replace(video, group=video.id.split("/")[1]) for video in videos)
    write_index(tiny_set.index, Listing(("red", "blue"), grouped), 2, (1,))
    found = []

    def spy(setup, state, *_):
        found.extend((setup.train_set, setup.validation_set, state.network))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "fit", spy)
        run(job, tiny=tiny_set)
    trained, validated, network = found
    videos = members(read_index(tiny_set.index), 1, "train")
    parts = hold_out(videos, 0.25, 7)
    assert (trained.videos, validated.videos) == parts
    assert sorted([len(part) for part in parts]) == [2, 6]
    assert validated[0][0].shape[0] == 3
    store = ShardSet(tiny_set.shards["rgb"])
    alike = TrainingSnippets(store, parts[0], "rgb", job.recipe, 32, 7)
    assert torch.equal(trained[1, 2][0], alike[1, 2][0])
    torch.manual_seed(7)
    assert equal(network.state_dict(), new_network(2, "rgb", job.model, job.recipe).state_dict())


def test_a_train_list_that_is_quarantined_as_a_whole_is_an_error(run, make_job, make_tiny_set):
    everything = [f"{name}/{n}" for name in ("red", "blue") for n in range(4)]
    with pytest.raises(UserError, match="split 1: every train video is quarantined"):
        run(make_job(), tiny=make_tiny_set(bad=everything))


def test_the_model_file_says_what_it_is(run, make_job, tmp_path, tiny_set):
    run(make_job("flow", seed=7, segments=3, model={"consensus": "max"}))
    network, info = load_model(tmp_path / "run" / "model.pt")
    assert (info.modality, info.split, info.seed, info.segments) == ("flow", 1, 7, 3)
    assert info.consensus == "max"
    assert info.classes == ("red", "blue") and info.shards == {"by": "hand"}
    assert not network.training and network.channels == 10


def test_labels_follow_the_index(run, make_job, make_tiny_set, tmp_path):
    """The classifier has one output per class that the index has, whatever the list of classes."""
    tiny = make_tiny_set()
    videos = read_index(tiny.index)
    write_index(tiny.index, Listing(("blue", "absent", "red"), tuple(videos)), 2, (1,))
    state = run(make_job(epochs=1, lr_milestones=()), tiny=tiny).state
    assert state["classifier.weight"].shape[0] == 2
    assert np.all([video.label < 2 for video in read_index(tiny.index)])


def test_a_compiled_network_trains_alike(run, make_job, tiny_network, monkeypatch):
    """As PyTorch compiles it, up to the generation of machine code, which needs a compiler."""
    from torch._inductor import config

    compile_, repeatable = torch.nn.Module.compile, []

    def compile_without_compiler(network):
        repeatable.append(config.deterministic)
        compile_(network, backend="aot_eager")

    monkeypatch.setattr(config, "deterministic", False)
    monkeypatch.setattr(torch.nn.Module, "compile", compile_without_compiler)
    plain = run(make_job(dropout=0.0), "plain").state
    compiled = run(make_job(dropout=0.0, compile=True), "compiled").state
    assert repeatable == [True]
    assert compiled.keys() == plain.keys()
    for key, value in plain.items():
        assert torch.allclose(compiled[key], value, rtol=1e-4, atol=1e-5), key


def test_another_length_of_snippets_reaches_the_model_file(run, make_job, tiny_network):
    """Three flow fields of two channels."""
    job = make_job("flow", epochs=1, lr_milestones=(), model={"snippet_length": 3})
    found = run(job)
    network, info = load_model(found.folder / "model.pt")
    assert info.snippet_length == 3 and network.channels == 6
