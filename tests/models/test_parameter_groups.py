import pytest
import torch
from torch import nn

from tsn.models.network import TSN
from tsn.models.parameter_groups import parameter_groups
from tsn.runtime.errors import UserError


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.ones(2))


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 2, 1),
        nn.BatchNorm2d(2),
        nn.Conv2d(2, 2, 1),
        nn.LayerNorm(2),
        Scaled(),
        nn.Linear(2, 4),
        nn.MultiheadAttention(4, 1),
        nn.GroupNorm(1, 4),
    )


def multipliers(net, modality):
    """Parameter name -> (learning rate, weight decay) for base values 1 and 1."""
    names = {parameter: name for name, parameter in net.named_parameters()}
    return {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(net, modality, 1.0, 1.0)
        for parameter in group["params"]
    }


@pytest.mark.parametrize("modality", ["rgb", "rgb_diff"])
def test_biases_learn_twice_as_fast_and_do_not_decay(modality):
    # The authors' prototxts: lr_mult 1 and 2, decay_mult 1 and 0; BN 1 and 0.
    assert multipliers(small_net(), modality) == {
        "0.weight": (1, 1), "0.bias": (2, 0),
        "1.weight": (1, 0), "1.bias": (1, 0),
        "2.weight": (1, 1), "2.bias": (2, 0),
        "3.weight": (1, 0), "3.bias": (1, 0),
        "4.layer_scale": (1, 0),
        "5.weight": (1, 1), "5.bias": (2, 0),
        "6.in_proj_weight": (1, 1), "6.in_proj_bias": (2, 0),
        "6.out_proj.weight": (1, 1), "6.out_proj.bias": (2, 0),
        "7.weight": (1, 0), "7.bias": (1, 0),
    }  # fmt: skip


@pytest.mark.parametrize("modality", ["flow", "warped_flow"])
def test_the_first_convolution_learns_five_times_as_fast_for_flow(modality):
    found = multipliers(small_net(), modality)
    assert found["0.weight"] == (5, 1)
    assert found["0.bias"] == (10, 0)
    assert found["2.weight"] == (1, 1)


def test_base_values_are_multiplied():
    groups = {g["name"]: g for g in parameter_groups(small_net(), "flow", 0.005, 5e-4)}
    assert groups["first_conv_bias"]["lr"] == pytest.approx(0.05)
    assert groups["first_conv_bias"]["lr_multiplier"] == 10
    assert groups["weight"]["weight_decay"] == pytest.approx(5e-4)


def test_each_trainable_parameter_of_a_tsn_is_in_exactly_one_group():
    model = TSN(5, "flow", "efficientnet_lite0", "none", 3, consensus="weighted")
    groups = parameter_groups(model, "flow", 0.1, 0.1)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = [id(p) for p in model.parameters() if p.requires_grad]
    assert sorted(grouped) == sorted(trainable)
    assert len(grouped) < len(list(model.parameters()))
    assert all(group["params"] for group in groups)
    other = next(group["params"] for group in groups if group["name"] == "other")
    # The first BN's two, and the consensus weights.
    assert [tuple(p.shape) for p in other] == [(32,), (32,), (3,)]


def test_the_papers_flow_network_has_the_groups_of_its_prototxt():
    # BN-Inception has 69 convolutions, each with weight and bias, and a classifier; all batch
    # normalisation but the first is frozen. Base values: the paper's lr .005 and decay 5e-4.
    with torch.device("meta"):
        model = TSN(101, "flow", "bn_inception", "none", 3)
    found = {
        group["name"]: (len(group["params"]), group["lr"], group["weight_decay"])
        for group in parameter_groups(model, "flow", 0.005, 5e-4)
    }
    assert found == {
        "first_conv_weight": (1, pytest.approx(0.025), 5e-4),
        "first_conv_bias": (1, pytest.approx(0.05), 0),
        "weight": (68 + 1, 0.005, 5e-4),
        "bias": (68 + 1, 0.01, 0),
        "other": (2, 0.005, 0),
    }


def test_a_shared_parameter_is_stepped_once():
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
    net[1].weight = net[0].weight
    groups = parameter_groups(net, "rgb", 0.1, 0.1)
    assert sum(len(group["params"]) for group in groups) == 3
    torch.optim.SGD(groups, momentum=0.9)


def test_an_unknown_modality_is_refused():
    with pytest.raises(UserError, match="'depth'"):
        parameter_groups(small_net(), "depth", 0.1, 0.1)
