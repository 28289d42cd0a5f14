"""The linear probe: only the classifier is fitted, to the minimum of its objective."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.conftest import equal
from tsn.models.consensus import build_consensus
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.training.probe import fit_classifier

pytestmark = pytest.mark.usefixtures("on_cpu", "tiny_network")


@pytest.mark.parametrize("consensus", ["average", "weighted"])
def test_the_classifier_is_at_the_minimum_of_a_convex_objective(consensus):
    network = TSN(3, "rgb", "tiny", "none", 2, consensus=consensus)
    torch.manual_seed(0)
    features, labels = torch.randn(20, 2, 32).double(), torch.arange(20) % 3
    found = fit_classifier(
        network, features, 0.1, lambda scores: cross_entropy(scores, labels, reduction="sum")
    )[1]
    weight = network.classifier.weight.detach().double().requires_grad_()
    bias = network.classifier.bias.detach().double().requires_grad_()
    scores = build_consensus("average", 2)(features @ weight.T + bias)
    torch.testing.assert_close(scores, found, atol=1e-5, rtol=0)
    (cross_entropy(scores, labels) + 0.05 * weight.square().sum()).backward()
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-5


def test_a_probe_leaves_the_backbone_alone_and_tells_the_classes_apart(run, make_job):
    job = make_job(method="linear_probe", weight_decay=1e-4, validation=0.25)
    result = run(job)
    torch.manual_seed(job.seed)
    untrained = TSN(2, "rgb", "tiny", "none", 2).state_dict()
    fitted = {"classifier.weight", "classifier.bias"}
    kept = [
        {k: v for k, v in state.items() if k not in fitted} for state in (result.state, untrained)
    ]
    assert equal(*kept)
    (row,) = result.log
    assert float(row["accuracy"]) == float(row["validation_accuracy"]) == 1
    assert float(row["loss"]) < 0.1
    assert sorted(path.name for path in result.folder.iterdir()) == ["model.pt", "training.csv"]


def test_features_that_are_not_finite_are_an_error(run, make_job, monkeypatch):
    monkeypatch.setattr("torch.nn.Flatten.forward", lambda self, x: x.flatten(1) / 0)
    with pytest.raises(UserError, match="the features of rgb are not finite; set fp32"):
        run(make_job(method="linear_probe"))


def test_a_probe_repeats_itself_bit_for_bit(run, make_job):
    job = make_job(method="linear_probe")
    assert equal(run(job, "first").state, run(job, "second").state)
