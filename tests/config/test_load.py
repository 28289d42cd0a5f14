"""Files of the configuration: how they are read, and which of them wins."""

import re
from pathlib import Path

import pytest

from tests.config.complaints import check_all
from tsn.config import table
from tsn.config.experiments import Configuration
from tsn.config.load import read_config, with_current_names
from tsn.runtime.errors import UserError

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def read(tmp_path):
    """A function: text of a file -> its keys."""

    def parse(text: str) -> dict:
        (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
        return read_config(tmp_path / "my.yaml")

    return parse


def test_two_keys_of_one_name_are_refused_with_their_lines(read):
    with pytest.raises(UserError, match=r"my\.yaml, line 3: the key 'training' .* in line 1;"):
        read("training: {lr: 0.1}\nseed: 2\ntraining: {segments: 5}\n")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("12:30", "12:30"),
        ("0101", "0101"),
        ("2020-01-01", "2020-01-01"),
        ("-7", -7),
        (".5", 0.5),
        ("~", None),
    ],
)
def test_values_are_what_they_look_like(read, text, value):
    found = read(f"key: {text}\n")["key"]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "a: [1",
        "- a\n- b\n",
        "text",
        "a: !!int b",
        "a: !!bool maybe",
        "a: " + "[" * 2000 + "]" * 2000,
    ],
)
def test_what_holds_no_keys_is_refused_by_its_name(read, text):
    with pytest.raises(UserError, match=r"my\.yaml: "):
        read(text)


def test_a_map_for_a_key_is_refused_with_its_line(read):
    with pytest.raises(UserError, match=r"my\.yaml, line 2: a list or a map .* wants quotes"):
        read("seed: 1\nkey: {{FOLDER}}\n")


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ({"training": {"unit": ["epoch"]}}, "training.unit: .* is not one of"),
        ({"fusion": {"level": ["score"]}}, "fusion.fuse: .* is not one of"),
    ],
)
def test_old_names_with_values_that_are_lists_are_one_sentence(config, layer, sentence):
    with pytest.raises(UserError, match=sentence):
        Configuration(config, with_current_names(layer)[0])


@pytest.mark.parametrize(
    ("layer", "dataset", "found"),
    [
        (
            {"training": {"crop_scales": [1]}},
            "ucf101",
            lambda s, m: s.training(m).crop_scales == (1,),
        ),
        ({"training": {"epochs": 500}}, "demo", lambda s, m: s.training(m).epochs == 500),
        ({"training": {"iterations": 999}}, "demo", lambda s, m: s.training(m).epochs is None),
        ({"model": {"input_size": 96}}, "demo", lambda s, m: s.model(m).input_size == 96),
    ],
)
def test_a_users_file_wins_for_every_modality_over_what_config_yaml_says_of_some(
    config, layer, dataset, found
):
    settings = Configuration(config, layer).settings(dataset, "tsn")
    assert all(found(settings, modality) for modality in settings.modalities)


def test_a_later_file_wins_over_the_per_modality_of_an_earlier_one(config):
    first = {"training": {"per_modality": {"flow": {"lr": 0.1}}}}
    settings = Configuration(config, first, {"training": {"lr": 0.2}}).settings("ucf101", "tsn")
    assert settings.training("flow").lr == 0.2


@pytest.mark.parametrize(
    ("layer", "get", "value"),
    [
        ({"training": {"segments": 5.0}}, lambda s: s.training("rgb").segments, 5),
        ({"training": {"epochs": "400.0"}}, lambda s: s.training("rgb").epochs, 400),
        ({"training": {"lr": "0.001"}}, lambda s: s.training("rgb").lr, 0.001),
        ({"training": {"lr": "1e-3"}}, lambda s: s.training("rgb").lr, 0.001),
        ({"training": {"flip": "no"}}, lambda s: s.training("rgb").flip, False),
        ({"training": {"clip_gradient": "null"}}, lambda s: s.training("rgb").clip_gradient, None),
        ({"test": {"crops": "1"}}, lambda s: s.test.crops, 1),
        ({"fusion": {"weights": {"rgb": "1"}}}, lambda s: s.fusion.weights, {"rgb": 1}),
        ({"seed": 1.0}, lambda s: s.seed, 1),
        ({"frames": {"size": ["340", 256.0]}}, lambda s: s.frames.size, (340, 256)),
    ],
)
def test_a_value_with_one_meaning_is_taken(config, layer, get, value):
    found = get(Configuration(config, layer).settings("ucf101", "tsn"))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("key", ["training", "datasets", "experiments", "tables"])
def test_a_block_whose_keys_are_all_commented_out_changes_nothing(config, read, key):
    keys = read(f"{key}:\n  # all of it\n")
    changed, before = Configuration(config, keys), Configuration(config)
    assert changed.settings("ucf101", "tsn") == before.settings("ucf101", "tsn")


@pytest.mark.parametrize("tag", ["!!set {a, b}", "!!omap [a: b]", "!!binary YQ==", "!mine x"])
def test_tags_of_other_types_are_one_sentence(read, tag):
    with pytest.raises(UserError, match="is no YAML: could not determine a constructor for the"):
        read(f"datasets: {tag}\n")


def test_names_that_are_numbers_are_text(config):
    own = {"layout": "folder", "videos": "v", "classes": [1, "no"]}
    settings = Configuration(config, {"datasets": {101: own}}).settings("101", "tsn")
    assert settings.dataset.classes == ("1", "no")


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        ({"training": "lr"}, "training: 'lr' is not a map of keys"),
        ({"training": {"segments": True}}, "training.segments: True is not a number"),
        ({"modalities": "rgb"}, r"modalities: 'rgb' is not a list; write \[rgb\]"),
        (
            {"datasets": {"ucf101": {"classes": ["a", False]}}},
            "classes.1: False is not text; YAML 1.1",
        ),
        (
            {"datasets": {"ucf101": {"classes": [1.5]}}},
            "classes.0: 1.5 is not text; put it in quotes",
        ),
        ({"datasets": {"ucf101": {"classes": ["a", "a"]}}}, "classes: .* has a twice"),
        ({"datasets": {"ucf101": {"splits": {"folds": 5}}}}, "ucf101 has its own splits"),
        (
            {"datasets": {"mine": {"layout": "folder", "videos": "v", "splits": {}}}},
            r"mine\.splits\.folds: this key is missing",
        ),
        (
            {"datasets": {"mine": {"layout": "folder", "videos": "a\0"}}},
            r"mine\.videos: .* has the character NUL",
        ),
        ({"datasets": {"mine": {"videos": "v"}}}, r"datasets\.mine\.layout: is missing"),
        ({"datasets": {"mine": {"columns": {"path": {}}}}}, r"columns\.path: {} is not text"),
        ({"datasets": {"mine": {"columns": {"path": None}}}}, r"columns\.path: is empty; "),
        ({"datasets": {"mine": {"columns": {"label": [1.5]}}}}, r"columns\.label\.0: 1.5 is not"),
        ({"frames": {"size": [64]}}, r"frames\.size: \[64\] is too short; entry 2 is missing"),
        ({"flow": {"scale_step": 1}}, "flow.scale_step: 1 is not below 1"),
        ({"model": {"consensus": "mean"}}, "model.consensus: 'mean' is not average, max"),
        ({"training": {"per_modality": {"depth": {}}}}, "the name 'depth' is not one of 'rgb'"),
        ({"table_seeds": [1, 1]}, "has 1 twice"),
        ({"modalities": None}, "modalities: is empty; write its value, or remove the key"),
        ({"test": {"segments": 10**9}}, r"test\.segments: 1000000000 is not at most 1000"),
        ({"training": {"epochs": 10**30}}, r"training\.epochs: 10* is not at most 1000000000"),
        ({"datasets": {"a" * 300: {}}}, "the name 'a*… has more than 100 characters"),
        ({"experiments": {"clips": {}}}, r"experiments\.clips: the name 'clips' is not free: "),
        ({"experiments": {"a" * 300: {}}}, "the name 'a*… has more than 100 characters"),
    ],
)
def test_a_value_without_a_meaning_is_quoted_in_one_sentence(config, layer, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        check_all(config, layer)
    assert "\n" not in str(caught.value)


def test_the_home_of_nobody_stays_as_it_is(config):
    keys = {"layout": "folder", "videos": "~nobody-of-this-name/v"}
    configuration = Configuration(config, {"datasets": {"mine": keys}})
    assert configuration.settings("mine", "tsn").dataset.videos == keys["videos"]


def test_an_old_name_beside_the_new_one_is_refused():
    with pytest.raises(UserError, match=r"flow\.scales: the old name of pyramid_levels"):
        with_current_names({"flow": {"scales": 3, "pyramid_levels": 4}})


def test_the_tables_of_keys_are_those_of_the_model():
    readme = (PROJECT / "config" / "README.md").read_text(encoding="utf-8")
    assert table.with_tables(readme, read_config(PROJECT / "config" / "config.yaml")) == readme


def configurations() -> list[tuple[str, str]]:
    """The examples of YAML in the documentation that are files of the configuration."""
    found = []
    for path in [
        PROJECT / "README.md",
        *(PROJECT / "docs").glob("*.md"),
        *(PROJECT / "config").glob("*"),
    ]:
        text = path.read_text(encoding="utf-8")
        blocks = (
            re.findall(r"^```yaml\n(.*?)^```", text, re.M | re.S)
            if path.suffix == ".md"
            else [text]
        )
        found += [(f"{path.name} {n}", block) for n, block in enumerate(blocks)]
    return found


@pytest.mark.parametrize(("name", "text"), configurations())
def test_an_example_of_the_documentation_is_a_configuration(config, read, name, text):
    keys = read(text)
    if not keys.keys() & config.keys():
        pytest.skip("not of the configuration")
    check_all(config, keys)
