"""Weights files of other libraries, as small imitations of what those write.

benchmarks/mmaction2_equality.py and benchmarks/pretrainedmodels_equality.py compare with the
libraries themselves.
"""

import sys
from types import ModuleType

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from tests.foreign_files import CONFIG, mmaction2, random_state, tsn_pytorch
from tsn.models.bn_inception import BNInception
from tsn.models.foreign import guess_backbone, read_weights
from tsn.models.network import TSN
from tsn.models.preprocessing import CAFFE, CAFFE_VGG, IMAGENET, for_modality
from tsn.runtime.errors import UserError


@pytest.fixture(scope="module")
def resnet() -> dict:
    return random_state(torchvision.models.resnet18())


@pytest.fixture
def save(tmp_path):
    def write(content) -> str:
        torch.save(content, tmp_path / "file.pth")
        return str(tmp_path / "file.pth")

    return write


def test_mmaction2s_layers_get_their_torchvision_names(save, resnet):
    weights = read_weights(save(mmaction2(resnet)))
    assert weights.origin == "mmaction2"
    expected = {key for key in resnet if not key.startswith("fc.")}
    assert set(weights.state) == expected
    assert weights.state["layer2.0.downsample.1.running_var"].equal(
        resnet["layer2.0.downsample.1.running_var"]
    )
    assert weights.classifier[0].shape == (4, 512)


def test_mmaction2s_normalisation_is_that_of_its_configuration(save, resnet):
    config = CONFIG.format(mean=[100.0, 110.0, 120.0], std=[50, 60, 70], more="")
    base = read_weights(save(mmaction2(resnet, cfg=config))).preprocessing
    pixel = torch.tensor([150.0, 170.0, 190.0]).view(1, 3, 1, 1)
    assert for_modality("rgb", base)(pixel).flatten().tolist() == pytest.approx([1, 1, 1])


def test_mmaction2s_swapped_colours_are_swapped(save, resnet):
    config = CONFIG.format(mean=[100.0] * 3, std=[1.0] * 3, more=", to_rgb=True")
    base = read_weights(save(mmaction2(resnet, cfg=config))).preprocessing
    pixel = torch.tensor([101.0, 102.0, 103.0]).view(1, 3, 1, 1)
    assert for_modality("rgb", base)(pixel).flatten().tolist() == [3, 2, 1]


@pytest.mark.parametrize("config", [None, CONFIG.format(mean=[128] * 10, std=[128] * 10, more="")])
def test_mmaction2s_flow_is_minus_one_to_one(save, resnet, config):
    # Its published flow configuration: mean 128, std 128 for each of the ten channels.
    base = read_weights(save(mmaction2(resnet, 10, cfg=config))).preprocessing
    byte = torch.tensor([0, 128, 192], dtype=torch.uint8).view(1, 3, 1, 1)
    assert for_modality("flow", base)(byte).flatten().tolist() == [-1, 0, 0.5]


@pytest.mark.parametrize(
    "config",
    [
        CONFIG.format(mean=[1, 2] * 5, std=[1] * 10, more=""),
        CONFIG.format(mean=[0] * 10, std="dict", more=""),
        "model = dict(",
    ],
)
def test_a_configuration_that_is_not_understood_is_refused(save, resnet, config):
    with pytest.raises(UserError, match=r"file\.pth: the data_preprocessor .*cannot be imported"):
        read_weights(save(mmaction2(resnet, 10, cfg=config)))


def test_a_resnet_with_caffes_strides_is_refused(save, resnet):
    config = "model = dict(backbone=dict(style='caffe', type='ResNet'))"
    with pytest.raises(UserError, match="style 'caffe'"):
        read_weights(save(mmaction2(resnet, cfg=config)))


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_tsn_pytorchs_bn_inception_is_caffes(save, prefix):
    with torch.device("meta"):
        keys = BNInception().state_dict()
    state = {"conv1_7x7_s2.weight": torch.rand(64, 3, 7, 7), "conv1_7x7_s2.bias": torch.rand(64)}
    weights = read_weights(save(tsn_pytorch(state, 1024, prefix)))
    assert weights.origin == "tsn-pytorch"
    assert weights.preprocessing == CAFFE
    assert set(weights.state) == set(state) <= set(keys)
    assert weights.classifier[0].shape == (4, 1024)
    assert guess_backbone(weights.state) == "bn_inception"


def test_tsn_pytorchs_resnet_has_its_own_flow_and_differences(save, resnet):
    # models.py: flow mean .5 and std mean(.229, .224, .225) on 0..1; differences only / 255.
    base = read_weights(save(tsn_pytorch(resnet, 512))).preprocessing
    assert (base.mean, base.std) == (IMAGENET.mean, IMAGENET.std)
    byte = torch.tensor([[[[255.0]], [[127.5]]]])
    assert for_modality("flow", base)(byte).flatten().tolist() == pytest.approx([0.5 / 0.226, 0])
    difference = torch.tensor([255.0, -51.0, 0.0]).view(1, 3, 1, 1)
    values = for_modality("rgb_diff", base)(difference).flatten().tolist()
    assert values == pytest.approx([1, -0.2, 0])


def test_a_classifier_that_was_left_in_the_base_model_is_found(save):
    state = {
        "module.base_model.fc.weight": torch.rand(4, 8),
        "module.base_model.fc.bias": torch.rand(4),
    }
    assert read_weights(save(state)).classifier[0].shape == (4, 8)


def test_a_flow_model_starts_from_flow_weights_as_they_are(save, resnet):
    path = save(mmaction2(resnet, 10))
    model = TSN(3, "warped_flow", "resnet18", path, 2)
    assert model.net.conv1.weight.equal(read_weights(path).state["conv1.weight"])
    byte = torch.tensor([0.0, 128.0]).view(1, 2, 1, 1)
    assert model.normalise(byte).flatten().tolist() == [-1, 0]


def test_a_flow_model_starts_from_an_rgb_tsn_by_cross_modality(save, resnet):
    path = save(mmaction2(resnet))
    model = TSN(3, "flow", "resnet18", path, 2)
    mean = read_weights(path).state["conv1.weight"].mean(1)
    assert torch.allclose(model.net.conv1.weight[:, 7], mean)
    # The mean of mmaction2's three std.
    expected = 1 / ((58.395 + 57.12 + 57.375) / 3)
    assert model.normalise.gain.flatten().tolist() == pytest.approx([expected])


def test_an_rgb_model_cannot_start_from_flow_weights(save, resnet):
    with pytest.raises(UserError, match="these weights take 10 channels, and rgb has 3"):
        TSN(3, "rgb", "resnet18", save(mmaction2(resnet, 10)), 2)


@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_a_model_of_ours_hands_its_layers_and_its_input_on(save, modality, monkeypatch):
    monkeypatch.setattr("tsn.models.network.for_modality", lambda m, _: for_modality(m, CAFFE_VGG))
    first = TSN(4, modality, "shufflenet_v2_x0_5", "none", 2, partial_bn=False)
    monkeypatch.undo()
    path = save({"format": 1, "info": {"modality": modality}, "network": first.state_dict()})
    second = TSN(7, modality, "shufflenet_v2_x0_5", path, 2)
    assert second.net.conv5[0].weight.equal(first.net.conv5[0].weight)
    x = torch.arange(12.0).view(1, -1, 1, 1)
    assert second.normalise(x).flatten().tolist() == first.normalise(x).flatten().tolist()


def test_what_training_programs_save_beside_the_weights_is_not_needed(save, resnet):
    # mmengine's message_hub holds objects of its own classes, which are neither had nor run here.
    class HistoryBuffer:
        def __getstate__(self):
            return {"log": getattr(self, "missing", 0)}

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = (
        "mmengine.logging.history_buffer",
        "HistoryBuffer",
    )
    module = ModuleType("mmengine.logging.history_buffer")
    module.HistoryBuffer = HistoryBuffer
    parents = {"mmengine": ModuleType("mmengine"), "mmengine.logging": ModuleType("x")}
    with pytest.MonkeyPatch.context() as patch:
        for name, known in {**parents, module.__name__: module}.items():
            patch.setitem(sys.modules, name, known)
        path = save({**mmaction2(resnet), "message_hub": {"loss": HistoryBuffer()}})
    assert read_weights(path).origin == "mmaction2"


def test_backbones_are_told_from_their_layers():
    with torch.device("meta"):
        for name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"):
            assert guess_backbone(torchvision.models.get_model(name).state_dict()) == name
        assert guess_backbone(torchvision.models.vgg11().state_dict()) is None


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "safetensors", None])
def test_weights_are_found_whatever_wraps_them(tmp_path, prefix, key):
    conv = torch.rand(2, 3, 1, 1)
    state = tsn_pytorch({"conv1.weight": conv}, 2, prefix=prefix)["state_dict"]
    path = tmp_path / "theirs.pth"
    if key == "safetensors":
        save_file(state, path)
    else:
        torch.save({"epoch": 3, key: state} if key else state, path)
    found = read_weights(path)
    assert found.origin == "tsn-pytorch"
    assert torch.equal(found.state["conv1.weight"], conv)
    assert torch.equal(found.classifier[0], state[f"{prefix}new_fc.weight"])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({1: torch.zeros(1)}, "tensors without names"),
        ({"info": {}, "network": {}}, "without what it holds of its input"),
        ({"info": None, "network": {"net.x": torch.zeros(1)}}, "without what it holds"),
    ],
)
def test_files_that_are_almost_weights_are_one_sentence(tmp_path, content, sentence):
    torch.save(content, tmp_path / "almost.pth")
    with pytest.raises(UserError, match=sentence):
        read_weights(tmp_path / "almost.pth")
