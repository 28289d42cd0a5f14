import warnings

import pytest
import torch

from tsn.models.network import TSN
from tsn.models.partial_bn import batch_norms_after_first
from tsn.runtime.errors import UserError


def build(modality="rgb", weights="none", **options):
    torch.manual_seed(0)
    options = {"segments": 3, "partial_bn": False, **options}
    return TSN(4, modality, "efficientnet_lite0", weights, **options)


def videos(channels, segments=3, size=32):
    shape = (2, segments, channels, size, size)
    return torch.randint(0, 256, shape, generator=torch.manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("modality", "channels"), [("rgb", 3), ("flow", 10), ("warped_flow", 10), ("rgb_diff", 15)]
)
def test_every_modality_gives_one_score_per_class(modality, channels):
    model = build(modality).eval()
    assert model.channels == channels
    assert model(videos(channels)).shape == (2, 4)


def test_a_snippet_may_have_another_length():
    model = build("flow", snippet_length=3).eval()
    assert model.channels == 6 and model(videos(6)).shape == (2, 4)


@pytest.mark.parametrize("consensus", ["average", "max"])
def test_the_score_of_a_video_is_the_consensus_of_its_snippets(consensus):
    model = build(weights="imagenet", consensus=consensus).eval()
    torch.nn.init.normal_(model.classifier.weight)
    x = videos(3)
    each = torch.stack([model.snippet_scores(x[:, k]) for k in range(3)])
    expected = each.mean(0) if consensus == "average" else each.amax(0)
    assert torch.allclose(model(x), expected, atol=1e-4)
    assert (each[0] - each[1]).abs().max() > 1e-2


@pytest.mark.parametrize(("modality", "mean"), [("rgb", 127), ("flow", 128), ("rgb_diff", 0)])
def test_the_backbone_sees_what_its_weights_were_trained_on(modality, mean):
    """TensorFlow's EfficientNet-Lite: a standard deviation of 128 in every channel."""
    model = build(modality).eval()
    seen = []
    model.net.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    x = videos(model.channels)[:, 0]
    model.snippet_scores(x)
    assert torch.allclose(seen[0], (x.float() - mean) / 128)


def test_a_float_image_scores_like_its_bytes():
    model = build(weights="imagenet").eval()
    assert model(videos(3)).equal(model(videos(3).float()))


def test_testing_may_use_another_number_of_snippets():
    model = build(consensus="weighted").eval()
    assert model(videos(3, segments=5)).shape == (2, 4)


def test_the_classifier_starts_small_and_unbiased():
    # tsn-pytorch: N(0, .001), bias 0.
    classifier = build().classifier
    assert classifier.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert classifier.weight.mean().item() == pytest.approx(0, abs=1e-4)
    # .27 % of a normal distribution lie beyond three standard deviations.
    assert 0.001 < (classifier.weight.abs() > 0.003).float().mean().item() < 0.006
    assert not classifier.bias.any()


def test_dropout_hits_the_features_of_the_classifier_in_training_only():
    model = build(dropout=0.5)
    seen = []
    model.classifier.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    model.net.register_forward_hook(lambda module, args, output: torch.ones_like(output))
    model.train().snippet_scores(videos(3)[:, 0])
    model.eval().snippet_scores(videos(3)[:, 0])
    assert set(seen[0].flatten().tolist()) == {0.0, 2.0}
    assert (seen[0] == 0).float().mean().item() == pytest.approx(0.5, abs=0.05)
    assert (seen[1] == 1).all()


@pytest.mark.parametrize(
    ("modality", "channels"), [("flow", 10), ("warped_flow", 10), ("rgb_diff", 15)]
)
def test_cross_modality_spreads_the_pretrained_filters_over_all_channels(modality, channels):
    # Wang et al. 2016, section 3.2: average over RGB, replicate by the number of channels.
    rgb = build("rgb", "imagenet").net
    other = build(modality, "imagenet").net
    old = rgb._conv_stem.weight
    expected = ((old[:, 0] + old[:, 1] + old[:, 2]) / 3)[:, None].repeat(1, channels, 1, 1)
    assert torch.allclose(other._conv_stem.weight, expected)
    unchanged = [key for key in rgb.state_dict() if not key.startswith("_conv_stem")]
    assert all(other.state_dict()[key].equal(rgb.state_dict()[key]) for key in unchanged)


@pytest.mark.parametrize("modality", ["flow", "warped_flow", "rgb_diff"])
def test_without_cross_modality_the_whole_network_starts_from_scratch(modality):
    # Table 1 of the paper, "pre-train spatial": only the RGB network is pretrained.
    pretrained = build("rgb", "imagenet").net
    scratch = build(modality, "imagenet", cross_modality=False).net
    assert not scratch._conv_head.weight.equal(pretrained._conv_head.weight)
    assert (scratch._bn1.running_var == 1).all()
    assert not scratch._conv_stem.weight[:, 0].equal(scratch._conv_stem.weight[:, 1])


def test_without_cross_modality_rgb_is_still_pretrained():
    pretrained = build("rgb", "imagenet").net
    net = build("rgb", "imagenet", cross_modality=False).net
    assert net._conv_stem.weight.equal(pretrained._conv_stem.weight)


def test_partial_bn_survives_train_and_a_step():
    model = build(weights="imagenet", partial_bn=True)
    model.eval()
    model.train()
    frozen = batch_norms_after_first(model.net)
    before = [tensor.clone() for layer in frozen for tensor in layer.state_dict().values()]
    first = model.net._bn0.running_mean.clone()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(videos(3)).square().sum().backward()
    optimizer.step()
    after = [tensor for layer in frozen for tensor in layer.state_dict().values()]
    assert all(a.equal(b) for a, b in zip(before, after, strict=True))
    assert not model.net._bn0.running_mean.equal(first)
    assert len(frozen) == 48  # 49 batch normalisation layers in EfficientNet-Lite0


def test_partial_bn_survives_a_resume():
    # A resumed run builds the network anew, loads its state and that of the optimiser, and trains.
    first = build(weights="imagenet", partial_bn=True).train()
    optimizer = torch.optim.SGD([p for p in first.parameters() if p.requires_grad], 0.1, 0.9)
    first(videos(3)).square().sum().backward()
    optimizer.step()
    model = build(weights="imagenet", partial_bn=True)
    model.load_state_dict(first.state_dict())
    resumed = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1, 0.9)
    resumed.load_state_dict(optimizer.state_dict())
    frozen = batch_norms_after_first(model.net)
    before = [tensor.clone() for layer in frozen for tensor in layer.state_dict().values()]
    model.train()
    model(videos(3)).square().sum().backward()
    resumed.step()
    after = [tensor for layer in frozen for tensor in layer.state_dict().values()]
    assert all(a.equal(b) for a, b in zip(before, after, strict=True))
    assert not any(layer.training for layer in frozen)


def test_partial_bn_means_nothing_to_a_network_without_batch_normalisation():
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = TSN(4, "rgb", "convnext_tiny", "none", 3, partial_bn=True).train()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_without_partial_bn_everything_learns():
    model = build(weights="imagenet").train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(layer.training for layer in batch_norms_after_first(model.net))


def test_partial_bn_on_a_random_network_warns():
    with pytest.warns(UserWarning, match="partial_bn off"):
        build(partial_bn=True).train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(partial_bn=True).eval()
        build(weights="imagenet", partial_bn=True).train()


def test_a_model_is_restored_from_its_state_without_the_pretrained_file():
    model = build("flow", "imagenet").eval()
    restored = build("flow", "none").eval()
    restored.load_state_dict(model.state_dict())
    assert restored(videos(10)).equal(model(videos(10)))


def test_snippets_of_another_modality_are_refused():
    with pytest.raises(UserError, match=r"this model takes 10 channels"):
        build("flow")(videos(3))


def test_videos_without_a_segment_axis_are_refused():
    with pytest.raises(UserError, match=r"\(N, K, C, H, W\)"):
        build()(videos(3)[:, 0])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"dropout": 1.0}, "dropout 1.0"), ({"segments": 0}, "0 segments")],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build(**options)


def test_a_classifier_needs_classes():
    with pytest.raises(UserError, match="0 classes"):
        TSN(0, "rgb", "efficientnet_lite0", "none", 3)
