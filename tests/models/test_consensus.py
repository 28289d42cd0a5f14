import pytest
import torch

from tsn.models.consensus import build_consensus
from tsn.runtime.errors import UserError

SCORES = torch.tensor([[[1.0, 8.0], [2.0, 6.0], [6.0, 1.0]]])  # (1 video, 3 snippets, 2 classes)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("average", [3, 5]),
        ("max", [6, 8]),
        ("weighted", [3, 5]),
        # The two highest of each class: 6 and 2, 8 and 6.
        ("top2", [4, 7]),
        ("top1", [6, 8]),
    ],
)
def test_scores_of_the_snippets_become_one_score_per_class(name, expected):
    assert build_consensus(name, 3)(SCORES)[0].tolist() == pytest.approx(expected)


def test_weighted_averaging_uses_its_weights_snippet_by_snippet():
    consensus = build_consensus("weighted", 3)
    with torch.no_grad():
        consensus.segment_weights.copy_(torch.tensor([1.0, 0.5, -1.0]))
    assert consensus(SCORES)[0].tolist() == pytest.approx([1 + 1 - 6, 8 + 3 - 1])


def test_weighted_averaging_starts_as_the_average_and_is_learned():
    consensus = build_consensus("weighted", 4)
    assert consensus.segment_weights.tolist() == [0.25] * 4
    assert consensus.segment_weights.requires_grad


def test_weighted_averaging_over_other_snippets_than_trained_is_the_average():
    consensus = build_consensus("weighted", 2)
    with torch.no_grad():
        consensus.segment_weights.fill_(9.0)
    assert consensus(SCORES)[0].tolist() == pytest.approx([3, 5])


@pytest.mark.parametrize("name", ["average", "max", "weighted", "top2"])
def test_the_gradient_agrees_with_finite_differences(name):
    torch.manual_seed(0)
    consensus = build_consensus(name, 3).double()
    scores = torch.randn(2, 3, 4, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(consensus, scores)


@pytest.mark.parametrize("name", ["average", "max", "weighted", "top2"])
def test_the_loss_reaches_each_snippet_as_in_the_papers_equation(name):
    # Wang et al. 2016, equations 2 and 3: dL/dF_k = (softmax(G) - y) * dG/dF_k.
    torch.manual_seed(1)
    consensus = build_consensus(name, 3)
    share = torch.full((3, 4), 1 / 3)
    if name == "weighted":
        weights = torch.tensor([0.2, 0.9, -0.3])
        consensus.segment_weights.data = weights
        share = weights[:, None].expand(3, 4)
    scores = torch.randn(1, 3, 4, requires_grad=True)
    if name == "max":
        share = (scores[0] == scores[0].amax(0)).float()
    if name == "top2":
        # Of three snippets all but the lowest one of each class, in halves.
        share = (scores[0] != scores[0].amin(0)).float() / 2
    joint = consensus(scores)
    torch.nn.functional.cross_entropy(joint, torch.tensor([2])).backward()
    error = joint.detach()[0].softmax(0) - torch.tensor([0.0, 0.0, 1.0, 0.0])
    assert torch.allclose(scores.grad[0], error * share, atol=1e-6)


def test_the_highest_two_of_one_snippet_are_that_snippet():
    assert build_consensus("top2", 1)(SCORES[:, 1:2])[0].tolist() == [2, 6]


def test_each_segment_weight_gets_the_gradient_of_its_snippet():
    # Equation 3 for the weights: dL/dw_k = sum_i (softmax(G) - y)_i F_k,i.
    torch.manual_seed(2)
    consensus = build_consensus("weighted", 3)
    scores = torch.randn(1, 3, 4)
    joint = consensus(scores)
    torch.nn.functional.cross_entropy(joint, torch.tensor([1])).backward()
    error = joint.detach()[0].softmax(0) - torch.tensor([0.0, 1.0, 0.0, 0.0])
    assert torch.allclose(consensus.segment_weights.grad, scores[0] @ error, atol=1e-6)


@pytest.mark.parametrize("name", ["topk", "top0", "top-1", "Top2"])
def test_a_top_without_a_number_is_refused(name):
    with pytest.raises(UserError, match="top2"):
        build_consensus(name, 3)


def test_an_unknown_consensus_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"'mean'.*average, max, weighted, or top2"):
        build_consensus("mean", 3)


def test_a_video_needs_a_segment():
    with pytest.raises(UserError, match="0 segments"):
        build_consensus("average", 0)
