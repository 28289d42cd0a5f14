"""Backbones of timm: an imitation of its interface everywhere, the real one where it is."""

import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tsn.models.backbones import build_backbone, find_architecture
from tsn.models.network import TSN
from tsn.runtime.errors import UserError

pytestmark = pytest.mark.slow


class Small(nn.Module):
    """A timm network of num_classes=0: pooled features."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3)
        self.num_features = 4
        self.head_hidden_size = 6  # timm: what reaches the classifier, where a head widens it

    def forward(self, x):
        return self.stem(x).mean((2, 3))


def imitation(**changes):
    config = {"mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3), "classifier": ("head", "head_dist")}

    def create_model(name, pretrained, num_classes):
        assert (name, num_classes) == ("small.tag", 0)
        if pretrained:
            raise changes.get("error", AssertionError)
        return Small()

    return SimpleNamespace(
        __version__="1.0",
        __spec__=ModuleSpec("timm", None),
        is_model=lambda name: name == "small.tag",
        list_models=lambda pattern: ["small"] if pattern == "*smal*" else [],
        get_pretrained_cfg=lambda name, **_: SimpleNamespace(to_dict=lambda: config),
        create_model=create_model,
    )


@pytest.fixture
def timm(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", imitation())


@pytest.mark.usefixtures("timm")
def test_features_and_input_are_those_that_timm_states():
    backbone = build_backbone("timm:small.tag", "none")
    assert backbone.features == 6
    assert (backbone.preprocessing.colour, backbone.preprocessing.scale) == ("RGB", 1 / 255)
    assert backbone.preprocessing.mean == (0.5, 0.4, 0.3)
    assert backbone.preprocessing.std == (0.1, 0.2, 0.3)


@pytest.mark.usefixtures("timm")
def test_a_file_loads_without_its_classifiers(tmp_path):
    state = {**Small().state_dict(), "head.weight": torch.ones(2), "head_dist.bias": torch.ones(2)}
    torch.save(state, tmp_path / "small.pth")
    net = build_backbone("timm:small.tag", str(tmp_path / "small.pth")).net
    assert net.stem.weight.equal(state["stem.weight"])


@pytest.mark.usefixtures("timm")
def test_an_unknown_model_gets_similar_names():
    with pytest.raises(UserError, match=r"no model 'smal': did you mean small\?"):
        find_architecture("timm:smal")


def test_a_failed_download_asks_for_a_file(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", imitation(error=ConnectionError("no route")))
    with pytest.raises(UserError, match=r"timm:small\.tag .*no route.*give its path"):
        build_backbone("timm:small.tag", "imagenet")


def test_without_timm_its_installation_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="pip install timm"):
        find_architecture("timm:resnet18")


@pytest.mark.parametrize(
    "name", ["resnet18.a1_in1k", "mobilenetv3_small_050", "deit_tiny_patch16_224"]
)
def test_the_real_timm_gives_a_tsn_of_flow(name):
    pytest.importorskip("timm", reason="the extra timm is not installed")
    model = TSN(4, "flow", f"timm:{name}", "none", 2, partial_bn=False).eval()
    with torch.inference_mode():
        assert model(torch.zeros(1, 2, 10, 224, 224, dtype=torch.uint8)).shape == (1, 4)
