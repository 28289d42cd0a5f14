"""Held-out training videos, the best epoch, signs of overfitting, and the record of it all."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import equal
from tsn.datasets.group_split import sample_groups
from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.training.checkpoint import load_model
from tsn.training.fit import validate
from tsn.training.validation import BestEpoch, hold_out, overfitting

pytestmark = pytest.mark.slow


def ucf101(classes=4, groups=18, clips=3) -> list[Video]:
    return [
        Video(f"{c}/v_{c}_g{g:02}_c{n:02}", "", str(c), c, {1: "train"}, f"g{g:02}")
        for c in range(classes)
        for g in range(groups)
        for n in range(clips)
    ]


def test_whole_groups_are_held_out_of_every_class():
    videos = ucf101()
    trained, held = hold_out(videos, 0.1, 1)
    assert sorted(v.id for v in [*trained, *held]) == sorted(v.id for v in videos)
    groups = [{v.id.split("_")[2] for v in part} for part in (trained, held)]
    assert not groups[0] & groups[1]
    for label in range(4):
        share = sum(v.label == label for v in held) / (18 * 3)
        assert 0.05 < share < 0.15


def test_the_choice_follows_the_seed_and_nothing_is_held_out_by_default():
    videos = ucf101()
    chosen = [{v.id for v in hold_out(videos, 0.1, seed)[1]} for seed in (1, 1, 2)]
    assert chosen[0] == chosen[1] != chosen[2]
    assert hold_out(videos, 0, 1) == (videos, [])


def test_without_groups_every_class_gives_some_of_its_videos():
    videos = [replace(video, group="") for video in ucf101()]
    trained, held = hold_out(videos, 0.25, 1)
    for label in range(4):
        assert sum(v.label == label for v in held) == round(0.25 * 54)
    assert len(trained) == 4 * 54 - len(held)


def test_a_group_that_is_mostly_too_much_is_left_out():
    """Two of eight videos are wanted; a group of four is not, whatever the order of groups."""
    videos = [(f"v{n}", "red", "four" if n < 4 else f"v{n}") for n in range(8)]
    for seed in range(20):
        chosen = sample_groups(videos, 0.25, str(seed))
        assert len(chosen) == 2 and not chosen & {"v0", "v1", "v2", "v3"}


def rows(losses, validation) -> list[dict]:
    pairs = enumerate(zip(losses, validation, strict=True))
    return [{"epoch": n, "loss": loss, "validation_loss": other} for n, (loss, other) in pairs]


FALLING = [1 / (n + 1) for n in range(12)]


def first_warning(log: list[dict]) -> list[int]:
    return [n for n in range(len(log)) if overfitting(log[: n + 1])]


def test_overfitting_is_warned_of_once_when_validation_rises_while_training_falls():
    rising = [0.9, 0.8, 0.7, *(0.7 + 0.02 * n for n in range(1, 10))]
    log = rows(FALLING, rising)
    # the minimum is epoch 2; five epochs later the loss is .1 above it, more than 5 %
    assert first_warning(log) == [7]
    assert "lowest 0.700 in epoch 2" in overfitting(log[:8])


@pytest.mark.parametrize(
    ("losses", "validation"),
    [
        (FALLING, FALLING),  # both fall
        (FALLING, [0.9, 0.8, 0.7, *[0.72] * 9]),  # within 5 %
        ([1.0] * 12, [0.9, 0.8, 0.7, *[0.9] * 9]),  # training does not fall either
    ],
)
def test_what_is_no_overfitting(losses, validation):
    assert first_warning(rows(losses, validation)) == []


def test_the_best_epoch_is_the_most_accurate_and_of_equals_that_of_the_lowest_loss():
    net = torch.nn.Linear(1, 1, bias=False)
    best = BestEpoch()
    results = [(0.5, 0.7), (0.8, 0.9), (0.8, 0.6), (0.8, 0.6), (0.7, 0.1)]
    for epoch, (accuracy, loss) in enumerate(results):
        torch.nn.init.constant_(net.weight, epoch)
        row = {"epoch": epoch, "validation_accuracy": accuracy, "validation_loss": loss}
        best.update(row, net)
    assert best.epoch == 2 and best.network["weight"].item() == 2
    assert equal(BestEpoch(**best.state_dict()).network, best.network)


@pytest.mark.usefixtures("on_cpu")
def test_the_best_and_the_last_model_are_both_kept(run, make_job):
    """The same training twice: it is the names of the two files that change."""
    job = {"validation": 0.25, "epochs": 4, "lr_milestones": (), "lr": 0.05}
    last = run(make_job(keep="last", **job), "last")
    best = run(make_job(keep="best", **job), "best")
    other = load_model(last.folder / "best.pt")[0].state_dict()
    assert equal(other, best.state)
    assert equal(load_model(best.folder / "last.pt")[0].state_dict(), last.state)
    for row in last.log:
        assert 0 <= float(row["validation_accuracy"]) <= 1 and float(row["validation_loss"]) > 0
    losses = [float(row["validation_loss"]) for row in last.log]
    since = [n - int(np.argmin(losses[: n + 1])) for n in range(4)]
    assert [int(row["epochs_since_best"]) for row in last.log] == since


@pytest.mark.usefixtures("on_cpu")
def test_validation_changes_nothing_but_which_videos_are_trained_on(run, make_job, monkeypatch):
    """The network that has been validated goes on as one that has not."""
    job = make_job(validation=0.25, epochs=2, lr_milestones=())
    validated = run(job, "validated").state
    monkeypatch.setattr(
        "tsn.training.fit.validate",
        lambda *_: {"validation_loss": 1.0, "validation_accuracy": 0.5},
    )
    assert equal(run(job, "not").state, validated)


def test_validation_counts_every_video_of_all_processes_alike():
    """Batches of 2 and 1 here; another process has one video, of loss 5 and predicted wrongly."""

    class Two:
        def all_reduce(self, values):
            return values + torch.tensor([5.0, 0.0, 1.0])

    scores = torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
    labels = torch.tensor([0, 0, 1])
    loader = [(scores[:2], labels[:2]), (scores[2:], labels[2:])]
    found = validate(torch.nn.Identity(), loader, torch.device("cpu"), "fp32", Two())
    # -log softmax of the true class: log(1 + e^-2), log(1 + e), log(1 + e^-3)
    total = sum(np.log1p(np.exp(margin)) for margin in (-2, 1, -3))
    assert found["validation_loss"] == pytest.approx((total + 5) / 4)
    assert found["validation_accuracy"] == pytest.approx(2 / 4)


@pytest.mark.usefixtures("on_cpu")
def test_a_fraction_that_leaves_no_video_is_an_error(run, make_job, make_tiny_set):
    tiny = make_tiny_set(train=1, test=1)
    with pytest.raises(UserError, match=r"training\.validation: a fraction of 0\.25 of 2"):
        run(make_job(validation=0.25), tiny=tiny)


@pytest.mark.usefixtures("on_cpu")
def test_events_are_written(run, make_job):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(make_job(epochs=2, lr_milestones=(1,), validation=0.25))
    events = EventAccumulator(str(result.folder / "tensorboard"))
    events.Reload()
    written = [(e.step, e.value) for e in events.Scalars("validation_loss")]
    expected = [(int(row["iteration"]), float(row["validation_loss"])) for row in result.log]
    assert np.allclose(written, expected, rtol=1e-4)
