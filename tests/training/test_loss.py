"""The loss: weights of classes, smoothing."""

import numpy as np
import pytest
import torch

from tsn.datasets.build_index import write_index
from tsn.datasets.index import members, read_index
from tsn.datasets.listing import Listing
from tsn.runtime.errors import UserError
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import load_model
from tsn.training.loss import class_weights, count, summed_loss
from tsn.training.train import build_datasets

SCORES = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0]])
LABELS = torch.tensor([0, 1])


def test_the_loss_of_a_video_counts_as_its_class_weighs():
    """Summed and not divided by the weights: a batch of a rare class alone weighs more."""
    each = -torch.log_softmax(SCORES, 1)[range(2), LABELS]
    found = summed_loss(SCORES, LABELS, torch.tensor([5.0, 0.5, 1.0]))
    assert found == pytest.approx(float(5 * each[0] + 0.5 * each[1]))


def test_smoothing_spreads_a_part_of_each_label_over_all_classes():
    target = torch.full((2, 3), 0.1 / 3)
    target[range(2), LABELS] += 0.9
    expected = -(target * torch.log_softmax(SCORES, 1)).sum()
    assert summed_loss(SCORES, LABELS, smoothing=0.1) == pytest.approx(float(expected))


MULTI_HOT = torch.tensor([[1.0, 1, 0], [0, 1, 0]])


def test_binary_cross_entropy_is_summed_over_classes_and_weighs_what_is_there():
    yes, no = -torch.log(torch.sigmoid(SCORES)), -torch.log(torch.sigmoid(-SCORES))
    each = torch.where(MULTI_HOT > 0, torch.tensor([5.0, 0.5, 1.0]) * yes, no)
    found = summed_loss(SCORES, MULTI_HOT, torch.tensor([5.0, 0.5, 1.0]))
    assert found == pytest.approx(float(each.sum()))
    smoothed = (0.95 * torch.where(MULTI_HOT > 0, yes, no)).sum()
    smoothed += (0.05 * torch.where(MULTI_HOT > 0, no, yes)).sum()
    assert summed_loss(SCORES, MULTI_HOT, smoothing=0.1) == pytest.approx(float(smoothed))


def test_the_best_class_is_correct_if_it_is_one_of_several():
    """Best are 0 and 1."""
    for labels, correct in ((MULTI_HOT, 2), (1 - MULTI_HOT, 0), (LABELS, 2)):
        assert count(torch.tensor(7.0), SCORES, labels).tolist() == [7, correct, 2]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("none", None),
        ({"b": 5}, [1, 5, 1]),
        # V / (C n) of the two classes that have videos: n_samples / (n_classes * np.bincount(y)).
        ("balanced", [12 / (2 * 10), 12 / (2 * 2), 6]),
    ],
)
def test_weights_of_classes(make_job, asked, expected):
    recipe = make_job(class_weights=asked).recipe
    found = class_weights(recipe, ("a", "b", "c"), np.array([10, 2, 0]))
    assert found is None if expected is None else found.tolist() == pytest.approx(expected)


@pytest.mark.usefixtures("on_cpu")
def test_a_training_weighs_classes_and_its_model_says_what_mirroring_exchanges(
    run, make_job, tiny_network
):
    recipe = {"epochs": 1, "lr_milestones": (), "lr": 1e-6, "sampling": "balanced"}
    recipe["flip"] = {"swap": {"red": "blue"}}
    plain = run(make_job(**recipe), "plain")
    weighed = run(make_job(**recipe, class_weights={"red": 2, "blue": 2}), "weighed")
    assert float(weighed.log[0]["loss"]) == pytest.approx(2 * float(plain.log[0]["loss"]), rel=1e-4)
    assert load_model(weighed.folder / "model.pt")[1].swap == {"red": "blue"}


@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ({"class_weights": {"rde": 2}}, r"class_weights: there is no class 'rde'.*red"),
        ({"flip": {"swap": {"red": "left"}}}, r"flip\.swap: there is no class 'left'"),
        ({"flip": {"swap": {"red": "blue", "blue": "red"}}}, r"flip\.swap: '\w+' is there twice"),
    ],
)
def test_a_class_that_is_not_there_is_told(run, make_job, recipe, words):
    with pytest.raises(UserError, match=words):
        run(make_job(**recipe))


@pytest.fixture
def of_both(make_tiny_set):
    """The tiny set, in which the first video to train on is red and blue."""
    tiny = make_tiny_set()
    videos = read_index(tiny.index)
    videos[0] = videos[0].with_classes(("red", "blue"))
    write_index(tiny.index, Listing(("red", "blue"), tuple(videos)), 2, (1,))
    return tiny


@pytest.mark.usefixtures("on_cpu")
def test_videos_of_several_classes_are_trained_with_binary_cross_entropy(
    run, make_job, of_both, tiny_network
):
    job = make_job(epochs=8, lr_milestones=(7,), lr=0.05, sampling="balanced", dropout=0)
    found = run(job, tiny=of_both)
    assert load_model(found.folder / "model.pt")[1].loss == "bce"
    # 2 ln 2 = 1.39 is a guess at two questions.
    assert float(found.log[-1]["loss"]) < 0.8 < float(found.log[0]["loss"])


def test_one_label_a_video_can_be_trained_with_binary_cross_entropy(tiny_set, make_job):
    job = make_job(loss="bce")
    videos = members(read_index(tiny_set.index), 1, "train")
    data, _ = build_datasets(job, videos, ShardSet(tiny_set.shards["rgb"]), multi_hot=2)
    target = data[0, 0][1]
    assert target.tolist() == np.eye(2)[videos[0].label].tolist() and target.dtype == torch.float32


def test_cross_entropy_is_refused_for_several_classes(run, make_job, of_both):
    with pytest.raises(UserError, match=r"training\.loss: cross_entropy is for one class a video"):
        run(make_job(loss="cross_entropy"), tiny=of_both)
