import torch
from torch import nn

from tsn.models.partial_bn import freeze_batch_norm, has_untrained_statistics


def small_net():
    return nn.Sequential(
        nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2)
    )


def test_only_the_first_batch_norm_learns():
    net = small_net()
    freeze_batch_norm(net)
    trainable = {name for name, p in net.named_parameters() if p.requires_grad}
    assert trainable == {"0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias"}


def test_only_the_first_batch_norm_follows_the_batch():
    net = small_net().train()
    freeze_batch_norm(net)
    net(torch.randn(4, 3, 2, 2) + 3)
    assert net[1].running_mean.any()
    assert not net[3].running_mean.any()
    assert net[3].running_var.tolist() == [1, 1]


def test_batch_norm_without_affine_parameters_can_be_frozen():
    net = nn.Sequential(nn.BatchNorm2d(2), nn.BatchNorm2d(2, affine=False))
    freeze_batch_norm(net)
    assert net[0].training
    assert not net[1].training


def test_initial_statistics_are_told_from_trained_ones():
    net = small_net()
    assert has_untrained_statistics(net)
    net[3].running_mean += 0.5
    assert not has_untrained_statistics(net)


def test_a_network_without_batch_norm_has_nothing_untrained():
    assert not has_untrained_statistics(nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)))
