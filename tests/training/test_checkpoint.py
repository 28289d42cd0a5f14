"""Model files and saved states: tensors and plain values, never code."""

import dataclasses
import os
import pickle

import pytest
import torch

from tsn.models.partial_bn import BatchNorm
from tsn.runtime.errors import UserError
from tsn.training.checkpoint import (
    ModelInfo,
    load_model,
    read_state,
    save_model,
    write_state,
)
from tsn.training.train import new_network


def info(**changes) -> ModelInfo:
    known = {
        "dataset": "tiny",
        "experiment": "tsn",
        "split": 1,
        "modality": "rgb",
        "classes": ("a", os.fsdecode(b"\xff"), "c"),
        "backbone": "shufflenet_v2_x0_5",
        "consensus": "average",
        "segments": 3,
        "input_size": 32,
        "seed": 1,
        "shards": {"size": [64, 48], "bound": 20.0},
        "code_version": "0",
    }
    return ModelInfo(**{**known, **changes})


@pytest.fixture
def network(make_job):
    job = make_job(segments=3)
    torch.manual_seed(0)
    return new_network(3, "rgb", job.model, job.recipe)


@pytest.fixture
def model_file(tmp_path, network):
    save_model(tmp_path / "model.pt", network, info())
    return tmp_path / "model.pt"


def test_a_model_scores_alike_after_the_round_trip(model_file, network):
    loaded, about = load_model(model_file)
    assert about == info()
    clips = torch.randint(0, 256, (2, 3, 3, 32, 32), dtype=torch.uint8)
    assert not loaded.training
    with torch.inference_mode():
        assert torch.equal(loaded(clips), network.eval()(clips))


@pytest.mark.parametrize("consensus", ["max", "weighted"])
def test_the_consensus_comes_back(tmp_path, make_job, consensus):
    job = make_job(model={"consensus": consensus}, segments=4)
    network = new_network(3, "rgb", job.model, job.recipe)
    save_model(tmp_path / "m.pt", network, info(consensus=consensus, segments=4))
    assert type(load_model(tmp_path / "m.pt")[0].consensus) is type(network.consensus)


class Code:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize(
    "save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))]
)
@pytest.mark.parametrize("load", [load_model, read_state])
def test_a_file_with_code_is_refused_and_does_not_run(tmp_path, save, load):
    save({"format": 1, "info": Code(str(tmp_path / "owned"))}, tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"model\.pt"):
        load(tmp_path / "model.pt")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "damage", [lambda d: b"", lambda d: b"text", lambda d: d[: len(d) // 2], lambda d: b"\0" * 99]
)
def test_a_damaged_file_is_named(model_file, damage):
    model_file.write_bytes(damage(model_file.read_bytes()))
    with pytest.raises(UserError, match=r"model\.pt: cannot be loaded"):
        load_model(model_file)


def test_a_flipped_bit_is_found_or_harmless(model_file):
    whole = model_file.read_bytes()
    expected = load_model(model_file)[0].state_dict()
    found = 0
    for position in range(0, len(whole), len(whole) // 40):
        data = bytearray(whole)
        data[position] ^= 4
        model_file.write_bytes(data)
        try:
            loaded = load_model(model_file)[0].state_dict()
        except UserError:
            found += 1
        else:  # in the padding between tensors
            assert all(torch.equal(loaded[name], expected[name]) for name in expected)
    assert found > 30


def test_a_model_whose_backbone_is_not_known_is_named(tmp_path, network):
    save_model(tmp_path / "model.pt", network, info(backbone="resnet999"))
    with pytest.raises(UserError, match=r"model\.pt: unknown backbone 'resnet999'"):
        load_model(tmp_path / "model.pt")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.pt: there is no such file"):
        load_model(tmp_path / "model.pt")


@pytest.mark.parametrize("state", [{"network": {}}, {"format": 2, "info": {}}, [1, 2]])
def test_a_state_dict_of_something_else_is_no_model_file(tmp_path, state):
    write_state(tmp_path / "model.pt", state)
    with pytest.raises(UserError, match=r"model\.pt: not a model file of format 1"):
        load_model(tmp_path / "model.pt")


def test_weights_of_another_network_are_refused(tmp_path, network):
    save_model(tmp_path / "model.pt", network, info(backbone="mobilenet_v3_small"))
    with pytest.raises(UserError, match=r"model\.pt: cannot be loaded"):
        load_model(tmp_path / "model.pt")


def test_a_model_file_without_its_description_is_refused(tmp_path, network):
    state = {"format": 1, "info": {"classes": ["a"]}, "network": network.state_dict()}
    write_state(tmp_path / "model.pt", state)
    with pytest.raises(UserError, match=r"model\.pt: cannot be loaded"):
        load_model(tmp_path / "model.pt")


def test_a_model_from_before_snippets_had_a_length_has_five(model_file):
    state = read_state(model_file)
    del state["info"]["snippet_length"]
    write_state(model_file, state)
    assert load_model(model_file)[1].snippet_length == 5


def frozen_layers(network) -> int:
    network.train()
    return sum(not layer.training for layer in network.modules() if isinstance(layer, BatchNorm))


@pytest.mark.parametrize(
    ("modality", "weights", "cross_modality", "partial_bn", "frozen"),
    [
        ("rgb", "file", True, True, True),
        ("flow", "file", True, True, True),
        ("flow", "file", False, True, False),  # starts from scratch
        ("rgb", "file", False, True, True),  # RGB always starts from the weights
        ("rgb", "none", True, True, False),
        ("rgb", "file", True, False, False),
    ],
)
def test_partial_bn_freezes_pretrained_statistics_only(
    tmp_path, make_job, modality, weights, cross_modality, partial_bn, frozen
):
    if weights == "file":
        import torchvision

        net = torchvision.models.shufflenet_v2_x0_5()
        for layer in net.modules():
            if isinstance(layer, BatchNorm):
                layer.running_mean.fill_(0.5)
        weights = str(tmp_path / "weights.pt")
        torch.save(net.state_dict(), weights)
    model = {"weights": weights, "cross_modality": cross_modality}
    job = make_job(modality, model=model, partial_bn=partial_bn)
    network = new_network(2, modality, job.model, job.recipe)
    layers = [module for module in network.modules() if isinstance(module, BatchNorm)]
    assert frozen_layers(network) == (len(layers) - 1 if frozen else 0)
    from_file = model["weights"] != "none" and (modality == "rgb" or cross_modality)
    assert all(bool((layer.running_mean == 0.5).all()) == from_file for layer in layers)


def test_equal_states_are_equal_files(tmp_path):
    state = {"tensor": torch.arange(5), "name": "x"}
    for name in ("a.pt", "b.pt"):
        write_state(tmp_path / name, state)
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()


def test_an_input_size_that_the_backbone_cannot_take_is_refused(make_job):
    job = make_job(segments=3)
    model = dataclasses.replace(job.model, backbone="alexnet", input_size=32)
    with pytest.raises(UserError, match=r"model\.input_size: alexnet cannot take images of 32 px"):
        new_network(3, "rgb", model, job.recipe)
