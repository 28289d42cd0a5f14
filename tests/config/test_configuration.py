"""The configuration: one sentence per mistake, and what overrides what."""

import copy
import json
import subprocess
import sys

import pytest

from tests.config.complaints import check_all, complaint, resolve
from tsn.config.datasets import DatasetConfig
from tsn.config.experiments import Configuration, paper_weights
from tsn.config.fields import build, plain
from tsn.config.schema import TrainingConfig
from tsn.runtime.errors import UserError


def test_the_configuration_as_shipped_has_no_mistake(config):
    check_all(config)


MISTAKES = {
    "unknown key": ("training.learning_rate", 0.1, ["training.learning_rate", "unknown"]),
    "misspelt key": ("training.dropuot", 0.1, ["training.dropuot", "'dropout'"]),
    "misspelt block": ("fusoin", {}, ["fusoin", "'fusion'"]),
    "misspelt experiment key": (
        "experiments.tsn",
        {"training": {"segmets": 1}},
        ["experiments.tsn.training.segmets", "'segments'"],
    ),
    "text for a number": ("training.lr", "fast", ["training.lr", "'fast'", "number"]),
    "fraction for a count": ("training.segments", 2.5, ["training.segments", "whole number"]),
    "text for a switch": ("training.flip", "maybe", ["training.flip", "'maybe'", "true or false"]),
    "nothing to swap": ("training.flip", {"swap": {}}, ["training.flip.swap", "is empty"]),
    "misspelt swap": ("training.flip", {"swop": {"a": "b"}}, ["training.flip", "'swop'", "'swap'"]),
    "negative weight of a class": (
        "training.class_weights",
        {"a": -1},
        ["training.class_weights.a", "-1"],
    ),
    "class weights by no known name": (
        "training.class_weights",
        "balancd",
        ["training.class_weights", "'balanced'"],
    ),
    "number for a list": ("training.lr_milestones", 30, ["training.lr_milestones", "a list"]),
    "below its range": ("training.batch_size", 0, ["training.batch_size", "0", "1"]),
    "above its range": ("training.dropout", 1, ["training.dropout", "1"]),
    "not finite": ("training.lr", float("inf"), ["training.lr", "inf", "finite"]),
    "not a number": ("fusion.compare", {"a": {"rgb": float("nan")}}, ["fusion.compare.a.rgb"]),
    "no such choice": ("model.consensus", "mean", ["model.consensus", "'mean'", "average"]),
    "no number": ("model.consensus", "topk", ["model.consensus", "'topk'", "top2"]),
    "no checksum": ("model.sha256", "md5", ["model.sha256", "'md5'", "hexadecimal"]),
    "no such modality": ("modalities", ["rgb", "depth"], ["modalities.1", "'depth'", "'flow'"]),
    "no such layout": ("datasets.demo.layout", "ucf", ["datasets.demo.layout", "'ucf101'"]),
    "bad name": ("datasets.a/b", {"layout": "demo"}, ["datasets", "a/b"]),
    "unknown experiment": ("experiment", "tsm", ["experiment", "'tsm'", "two_stream"]),
    "crop larger than the frame": ("test.crop_size", 300, ["test.crop_size", "300", "340x256"]),
    "milestone at the end": (
        "training.lr_milestones",
        [80],
        ["training.lr_milestones", "80", "training.epochs"],
    ),
    "milestone of one modality": (
        "training.per_modality",
        {"flow": {"lr_milestones": [999]}},
        ["training.lr_milestones", "flow", "999"],
    ),
    "weight of an untrained modality": (
        "fusion.weights",
        {"rgb": 1, "rgb_diff": 1},
        ["fusion.weights.rgb_diff", "not trained"],
    ),
    "comparison with an untrained modality": (
        "fusion.compare",
        {"both": {"rgb_diff": 1}},
        ["fusion.compare.both.rgb_diff", "not trained"],
    ),
    "no weight above zero": ("fusion.weights", {"rgb": 0}, ["fusion.weights", "above zero"]),
    "negative weight": ("fusion.weights", {"rgb": -1}, ["fusion.weights"]),
    "weights by no known name": ("fusion.weights", "papers", ["fusion.weights", "'paper'"]),
    "key of another layout": (
        "datasets.demo.videos",
        "x",
        ["datasets.demo.videos", "'demo'", "another name"],
    ),
    "split that the layout has not": ("datasets.demo.splits", [2], ["datasets.demo.splits", "2"]),
    "official split": ("datasets.ucf101.splits", [4], ["datasets.ucf101.splits", "4"]),
    "broken pattern": (
        "datasets.own",
        {"layout": "folder", "videos": "v", "group_pattern": "(g"},
        ["datasets.own.group_pattern", "regular expression"],
    ),
    "flow parameter out of range": ("flow.iterations", 31, ["flow", "iterations", "31"]),
    "dataset override": (
        "datasets.demo.override",
        {"trainig": {}},
        ["datasets.demo.override.trainig", "'training'"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_that_names_the_key(config, mistake):
    key, value, words = MISTAKES[mistake]
    sentence = complaint(config, **{key: value})
    for word in words:
        assert word in sentence


@pytest.mark.parametrize("key", ["videos", "lists"])
def test_an_official_layout_needs_its_folders(config, key):
    del config["datasets"]["hmdb51"][key]
    assert f"datasets.hmdb51.{key}" in complaint(config)


@pytest.mark.parametrize("key", ["training.momentum", "test.crops", "flow.bound", "data.missing"])
def test_a_missing_key_is_named(config, key):
    block, name = key.split(".")
    del config[block][name]
    assert complaint(config).startswith(f"{key}: this key is missing")


def test_a_missing_block_is_named(config):
    del config["training"]
    assert "training: this key is missing" in complaint(config)


def test_an_experiment_that_is_not_run_stops_nothing(config):
    """EPIC-Kitchens' published flow is of every second frame, and `inputs` has warped flow."""
    own = {"layout": "folder", "videos": "v", "frame_folders": {"naming": "epic_kitchens"}}
    keys = {"modalities": ["rgb", "flow"], "datasets": {"mine": own}}
    configuration = Configuration(config, keys)
    assert configuration.settings("mine", "tsn").modalities == ("rgb", "flow")
    assert configuration.trained_by("mine", "k5", "rgb") == "k5"
    with pytest.raises(UserError, match=r"warped_flow .*\(datasets\.mine, experiment inputs\)"):
        configuration.settings("mine", "inputs")


def test_a_data_set_that_is_not_run_stops_nothing(config):
    own = {"layout": "folder", "videos": "v", "override": {"frames": {"short_side": 320}}}
    keys = {"test": {"crop_size": 300}, "datasets": {"mine": own}}
    configuration = Configuration(config, keys)
    assert configuration.settings("mine", "tsn").test.crop_size == 300
    with pytest.raises(UserError, match=r"test\.crop_size: .*\(datasets\.ucf101, experiment tsn\)"):
        configuration.settings("ucf101", "tsn")


def test_a_repeated_experiment_may_be_the_published_one(config):
    assert Configuration(config, {"experiment": "k5.seed2"}).experiment == "k5.seed2"


@pytest.mark.parametrize(("kind", "name"), [("datasets", "ucf"), ("experiments", "tsm")])
def test_an_unknown_name_is_answered_with_the_known_ones(config, kind, name):
    names = {"datasets": "demo", "experiments": "tsn", kind: name}
    with pytest.raises(UserError, match=f"{name}.*demo|{name}.*two_stream"):
        resolve(config, names["datasets"], names["experiments"])


def test_an_experiment_wins_over_the_data_set_and_that_over_the_base(config):
    config["training"] |= {"lr": 0.1, "momentum": 0.1, "weight_decay": 0.1}
    config["datasets"]["demo"]["override"] = {"training": {"lr": 0.2, "momentum": 0.2}}
    config["experiments"]["tsn"] = {"training": {"lr": 0.3}}
    recipe = resolve(config, "demo", "tsn").training("rgb")
    assert (recipe.lr, recipe.momentum, recipe.weight_decay) == (0.3, 0.2, 0.1)


def test_per_modality_wins_over_the_same_layer(config):
    config["training"] |= {"lr": 0.1, "per_modality": {"flow": {"lr": 0.2}}}
    settings = resolve(config, "ucf101", "tsn")
    assert settings.training("flow").lr == 0.2
    assert settings.training("rgb").lr == 0.1


def test_each_modality_may_start_from_weights_of_its_own(config):
    config["model"]["per_modality"] = {"flow": {"weights": "flow.pth", "backbone": "resnet50"}}
    settings = resolve(config, "ucf101", "tsn")
    assert settings.model("flow").weights == "flow.pth"
    assert settings.model("rgb").weights == "imagenet"
    config["experiments"]["tsn"] = {"model": {"weights": "none"}}
    assert resolve(config, "ucf101", "tsn").model("flow").weights == "none"
    assert resolve(config, "ucf101", "tsn").model("flow").backbone == "resnet50"


def test_an_override_wins_over_per_modality_of_what_it_is_laid_over(config):
    config["training"] |= {"lr": 0.1, "per_modality": {"flow": {"lr": 0.2, "dropout": 0.7}}}
    config["experiments"]["tsn"] = {"training": {"lr": 0.3}}
    recipe = resolve(config, "ucf101", "tsn").training("flow")
    assert (recipe.lr, recipe.dropout) == (0.3, 0.7)
    config["experiments"]["tsn"]["training"]["per_modality"] = {"flow": {"lr": 0.4}}
    assert resolve(config, "ucf101", "tsn").training("flow").lr == 0.4


def test_weights_of_an_override_replace_the_weights_below(config):
    config["fusion"]["weights"] = {"rgb": 1, "flow": 2}
    config["experiments"]["tsn"] = {"fusion": {"weights": {"flow": 3}}}
    assert resolve(config, "ucf101", "tsn").fusion.weights == {"flow": 3}


def test_the_length_of_snippets_is_nothing_to_rgb(config):
    """Its network is shared with that of other lengths."""
    config["experiments"]["long"] = {"model": {"snippet_length": 10}}
    configuration = Configuration(config)
    assert configuration.settings("ucf101", "long").model("flow").snippet_length == 10
    assert configuration.trained_by("ucf101", "long", "rgb") == "tsn"
    assert configuration.trained_by("ucf101", "long", "flow") == "long"


def test_class_weights_of_an_experiment_replace_those_below(config):
    config["training"]["class_weights"] = {"a": 2, "b": 3}
    config["experiments"]["tsn"] = {"training": {"class_weights": {"c": 4}}}
    assert resolve(config, "ucf101", "tsn").training("rgb").class_weights == {"c": 4}


def test_resolving_leaves_the_configuration_alone(config):
    before = copy.deepcopy(config)
    resolve(config, "demo", "two_stream").blocks["training"]["lr_milestones"].append(99)
    assert config == before


@pytest.mark.parametrize(
    ("modalities", "weights"),
    [
        (["rgb", "flow"], {"rgb": 1, "flow": 1.5}),
        (["rgb", "flow", "warped_flow"], {"rgb": 1, "flow": 1, "warped_flow": 0.5}),
        (["rgb"], {"rgb": 1}),
        (["rgb", "rgb_diff"], {"rgb": 1, "rgb_diff": 1}),  # ours: the paper gives none
    ],
)
def test_weights_of_the_paper(config, modalities, weights):
    """Wang et al. 2016, section 4.2."""
    assert paper_weights(modalities) == weights
    config["modalities"] = modalities
    assert resolve(config, "ucf101", "tsn").fusion.weights == weights


@pytest.mark.parametrize(
    ("modalities", "streams"),
    [
        (["rgb", "rgb_diff"], ["rgb"]),
        (["flow", "rgb"], ["flow", "rgb"]),
        (["warped_flow"], ["warped_flow"]),
    ],
)
def test_rgb_difference_reads_rgb_shards(config, modalities, streams):
    config["modalities"] = modalities
    assert resolve(config, "ucf101", "tsn").streams == streams


def test_home_is_understood_in_both_folders(config, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config["datasets"]["hmdb51"] |= {"videos": "~/v", "lists": "~/l"}
    dataset = resolve(config, "hmdb51", "tsn").dataset
    assert (dataset.videos, dataset.lists) == ("/home/me/v", "/home/me/l")


def test_objects_survive_a_rules_parameters(config):
    settings = resolve(config, "demo", "tsn")
    recipe = settings.training("flow")
    again = build(TrainingConfig, json.loads(json.dumps(plain(recipe))))
    assert again == recipe and hash(again) == hash(recipe)
    assert recipe.crop_scales == (1, 0.875, 0.75)
    assert build(DatasetConfig, plain(settings.dataset)) == settings.dataset


def test_parsing_the_snakefile_imports_nothing_heavy():
    code = """
import sys
from tsn.config.experiments import Configuration
from tsn.config.load import read_config
from tsn.datasets.build_index import videos_by_shard
from tsn.datasets.listing import list_videos
print(sorted({"numpy", "torch", "pandas", "cv2", "av", "h5py"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_weights_are_searched_for_on_held_out_videos_only(config):
    config["fusion"]["weights"] = "search"
    with pytest.raises(UserError, match=r"fusion\.weights: .*never on test videos.*for rgb; set"):
        check_all(config)
    config["training"]["validation"] = 0.2
    config["training"]["per_modality"] = {"flow": {"validation": 0}}
    with pytest.raises(UserError, match="holds none out for flow"):
        check_all(config)
    del config["training"]["per_modality"]
    check_all(config)


def test_probabilities_are_calibrated_on_held_out_videos_only(config):
    config["fusion"]["calibrate"] = "temperature"
    with pytest.raises(UserError, match=r"fusion\.calibrate: .*never on test videos.*for rgb; set"):
        check_all(config)


@pytest.mark.parametrize("key", [{"calibrate": "temperature"}, {"weights": "search"}])
def test_every_experiment_that_is_fused_holds_videos_out_for_what_is_fitted(config, key):
    config["experiments"] |= {
        "held_out": {"training": {"validation": 0.2}},
        "all": {"fusion": {"experiments": ["held_out"], **key}},
    }
    check_all(config)
    config["experiments"]["all"]["fusion"]["experiments"].append("k5")
    with pytest.raises(UserError, match=r"training\.validation of k5 holds none out for rgb; set"):
        check_all(config)


def test_experiments_that_are_fused_have_the_modalities_and_the_test_of_the_fusion(config):
    config["experiments"]["all"] = {"fusion": {"experiments": ["tsn", "tsn.seed2", "k5"]}}
    check_all(config)
    config["experiments"]["k5"]["test"] = {"crops": 1}
    with pytest.raises(UserError, match=r"fusion\.experiments: k5 has another `test`"):
        check_all(config)
    config["experiments"]["k5"] = {"modalities": ["rgb"]}
    with pytest.raises(UserError, match=r"fusion\.experiments: k5 does not train flow"):
        check_all(config)
    config["experiments"]["all"] = {"fusion": {"experiments": ["unknown"]}}
    with pytest.raises(UserError, match=r"fusion\.experiments: .*there is no 'unknown'"):
        check_all(config)
