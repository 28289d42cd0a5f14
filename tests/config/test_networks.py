"""Networks and weights that a configuration asks for, before anything runs."""

import pytest

from tests.config.complaints import resolve
from tsn.config.checks import check_model, check_networks
from tsn.config.schema import ModelConfig
from tsn.models.published import NAMES
from tsn.runtime.errors import UserError

WEIGHTS = {
    "backbone": "resnet50",
    "weights": "imagenet",
    "sha256": None,
    "cross_modality": True,
    "consensus": "average",
    "input_size": 224,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "none.pth"}, r"model\.weights: there is no file 'none\.pth'"),
        ({"weights": "https://host/net.pth"}, r"net\.pth: .*needs its checksum.*model\.sha256"),
        ({"sha256": "12345678"}, r"model\.sha256"),
        ({"weights": "kinetics400", "sha256": "12345678"}, r"model\.sha256: .* is kinetics400"),
        (
            {"backbone": "vgg16", "weights": "kinetics400"},
            r"model\.weights: there are no weights kinetics400 of vgg16, only of resnet50, .*take",
        ),
        ({"backbone": "vgg16", "weights": "imagenet_v2"}, "no weights imagenet_v2 of vgg16"),
        ({"backbone": "resnt50"}, r"model\.backbone: unknown backbone 'resnt50'.*resnet50"),
        ({"backbone": "clarifai"}, "clarifai comes with no weights"),
    ],
)
def test_networks_that_cannot_be_had_are_told_before_anything_runs(changes, message):
    with pytest.raises(UserError, match=message):
        check_model(ModelConfig(**{**WEIGHTS, **changes}))


def test_weights_that_may_be_had_pass():
    for name in NAMES:
        check_model(ModelConfig(**{**WEIGHTS, "weights": name}))
    check_model(ModelConfig(**{**WEIGHTS, "backbone": "bn_inception"}))
    check_model(ModelConfig(**{**WEIGHTS, "weights": "https://host/net.pth", "sha256": "12345678"}))
    check_model(ModelConfig(**{**WEIGHTS, "weights": "https://host/net-12345678.pth"}))
    check_model(ModelConfig(**{**WEIGHTS, "weights": __file__, "sha256": "12345678"}))


def test_a_linear_probe_of_a_random_network_is_refused(config):
    config["model"]["cross_modality"] = False
    with pytest.raises(UserError, match=r"training\.method: linear_probe .* of flow is none"):
        check_networks(resolve(config, "ucf101", "linear_probe"))


def test_timm_is_asked_for_before_anything_runs(monkeypatch):
    monkeypatch.setattr("tsn.models.names.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"model\.backbone: .* pip install timm"):
        check_model(ModelConfig(**{**WEIGHTS, "backbone": "timm:resnet50"}))


def test_weights_that_may_not_be_looked_at_are_one_sentence(monkeypatch):
    def denied(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_file", denied)
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        check_model(ModelConfig(**{**WEIGHTS, "weights": "/locked/model.pt"}))
