"""The loss: weights of classes, smoothing."""

import numpy as np
import pytest
import torch

from tsn.runtime.errors import UserError
from tsn.training.checkpoint import load_model
from tsn.training.loss import class_weights, summed_loss

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
def test_a_training_weighs_classes_and_its_model_says_what_mirroring_exchanges(run, make_job):
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
