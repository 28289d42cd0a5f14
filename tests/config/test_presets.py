"""Schedules of presets, what wins over them, and the former names of their keys."""

import copy

import pytest

from tests.config.complaints import complaint, resolve
from tsn.config.load import with_current_names


def schedule(config: dict, dataset: str, modality: str, experiment: str = "tsn") -> tuple:
    config["modalities"] = ["rgb", "rgb_diff", "flow", "warped_flow"]
    recipe = resolve(config, dataset, experiment).training(modality)
    length = "epochs" if recipe.epochs else "iterations"
    keys = ("batch_size", "lr", "lr_milestones", length, "clip_gradient", "dropout")
    found = [getattr(recipe, key) for key in keys]
    return length, *(list(value) if isinstance(value, tuple) else value for value in found)


@pytest.mark.parametrize(
    ("preset", "dataset", "modality", "expected"),
    [
        # Wang et al. 2016, section 4.2
        ("paper", "ucf101", "rgb", ("iterations", 256, 0.001, [2000, 4000], 4500, None, 0.8)),
        ("paper", "ucf101", "flow", ("iterations", 256, 0.005, [12000, 18000], 20000, None, 0.7)),
        # the solvers of yjxiong/temporal-segment-networks
        ("caffe", "ucf101", "rgb", ("iterations", 128, 0.001, [1500, 3000], 3500, 40, 0.8)),
        ("caffe", "ucf101", "flow", ("iterations", 128, 0.005, [10000, 16000], 18000, 20, 0.7)),
        ("caffe", "hmdb51", "rgb", ("iterations", 128, 0.001, [1000, 2000], 2500, 40, 0.8)),
        ("caffe", "hmdb51", "warped_flow", ("iterations", 128, 0.005, [4000, 6000], 7000, 20, 0.7)),
        # the README of yjxiong/tsn-pytorch
        ("tsn_pytorch", "hmdb51", "rgb", ("epochs", 128, 0.001, [30, 60], 80, 20, 0.8)),
        ("tsn_pytorch", "ucf101", "flow", ("epochs", 128, 0.001, [190, 300], 340, 20, 0.7)),
        ("tsn_pytorch", "ucf101", "rgb_diff", ("epochs", 128, 0.001, [80, 160], 180, 40, 0.8)),
    ],
)
def test_a_preset_is_the_published_schedule(config, preset, dataset, modality, expected):
    config["training"]["preset"] = preset
    assert schedule(config, dataset, modality) == expected


def test_a_key_wins_over_the_preset_of_its_layer_in_every_modality(config):
    config["training"] |= {
        "preset": "caffe",
        "lr": 0.5,
        "per_modality": {"flow": {"iterations": 9}},
    }
    config["training"]["lr_milestones"] = []
    assert schedule(config, "ucf101", "rgb")[2:5] == (0.5, [], 3500)
    assert schedule(config, "ucf101", "flow")[2:5] == (0.5, [], 9)


def test_a_preset_wins_over_the_layers_below_and_loses_to_those_above(config):
    config["training"] |= {"lr": 0.5, "per_modality": {"flow": {"dropout": 0.1}}}
    config["datasets"]["ucf101"]["override"] = {"training": {"preset": "caffe"}}
    config["experiments"]["tsn"] = {"training": {"clip_gradient": 1}}
    assert schedule(config, "ucf101", "flow")[1:] == (128, 0.005, [10000, 16000], 18000, 1, 0.7)
    assert schedule(config, "hmdb51", "flow")[2] == 0.5


def test_no_preset_is_none_of_them(config):
    assert complaint(config, **{"training.preset": None}).startswith("training.preset: is empty;")


def test_without_a_preset_its_keys_must_be_given(config):
    del config["training"]["preset"]
    assert "training.batch_size: this key is missing; set it, or training.preset" in complaint(
        config
    )


def test_a_length_in_iterations_unsets_that_in_epochs_below_it(config):
    config["experiments"]["tsn"] = {"training": {"iterations": 500}}
    recipe = resolve(config, "ucf101", "tsn").training("flow")
    assert (recipe.iterations, recipe.epochs) == (500, None)


def test_epochs_beside_iterations_are_refused(config):
    config["experiments"]["tsn"] = {"training": {"iterations": 500, "epochs": 3}}
    assert "training.epochs: training.iterations is set as well" in complaint(config)


def test_old_names_of_keys_are_understood_with_a_warning_each(config):
    del config["flow"]["pyramid_levels"]
    old, new = copy.deepcopy(config), config
    old["training"] |= {"steps": [7], "scales": [1], "unit": "iteration", "length": 9}
    old["flow"]["scales"] = 3
    old["experiments"]["tsn"] = {"training": {"per_modality": {"flow": {"length": 8}}}}
    old["datasets"]["ucf101"]["override"] = {
        "test": {"convention": "release"},
        "fusion": {"level": "softmax"},
    }
    new["training"] |= {"lr_milestones": [7], "crop_scales": [1], "iterations": 9}
    new["flow"]["pyramid_levels"] = 3
    new["experiments"]["tsn"] = {"training": {"per_modality": {"flow": {"iterations": 8}}}}
    new["datasets"]["ucf101"]["override"] = {
        "test": {"snippet_sampling": "caffe"},
        "fusion": {"fuse": "probabilities"},
    }
    renamed, warnings = with_current_names(old)
    assert renamed == new
    assert "training.steps: its name is now lr_milestones; write lr_milestones: [7]" in warnings
    assert len(warnings) == len(set(warnings)) == 7


def test_a_length_without_a_unit_is_in_that_of_the_preset():
    for preset, length in (("caffe", "iterations"), ("tsn_pytorch", "epochs")):
        mine = {"training": {"preset": preset, "length": 5}}
        assert with_current_names(mine)[0]["training"] == {"preset": preset, length: 5}
