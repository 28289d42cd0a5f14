"""Experiments that train the same network share it; others do not."""

import pytest

from tsn.config.experiments import Configuration
from tsn.runtime.errors import UserError


@pytest.fixture
def owner(config):
    """A function: whose model an experiment of ucf101 uses, under some further experiments."""

    def find(experiment: str, modality: str, of="trained_by", **more) -> str:
        return getattr(
            Configuration({**config, "experiments": {**config["experiments"], **more}}), of
        )("ucf101", experiment, modality)

    return find


@pytest.mark.parametrize(
    ("experiment", "modality", "whose"),
    [
        # The paper's table of training strategies has the same figure twice in both columns.
        ("from_scratch", "rgb", "from_scratch"),
        ("from_scratch", "flow", "from_scratch"),
        ("pretrain_spatial", "flow", "from_scratch"),
        ("pretrain_spatial", "rgb", "pretrain_spatial"),
        ("cross_modality", "rgb", "pretrain_spatial"),
        ("cross_modality", "flow", "cross_modality"),
        ("two_stream", "rgb", "two_stream"),
        ("inputs", "rgb", "two_stream"),
        ("inputs", "warped_flow", "two_stream"),
        # two_stream does not train RGB difference, so the model lies with inputs.
        ("inputs", "rgb_diff", "inputs"),
        ("tsn", "flow", "tsn"),
        ("k5", "flow", "k5"),
        ("bn_inception", "rgb", "bn_inception"),
    ],
)
def test_a_model_lies_with_the_first_experiment_that_trains_it(owner, experiment, modality, whose):
    assert owner(experiment, modality) == whose


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 2},
        {"training": {"lr": 0.5}},
        {"training": {"per_modality": {"rgb": {"dropout": 0.1}}}},
        {"model": {"input_size": 96}},
        {"model": {"weights": "none"}},
    ],
)
def test_what_determines_a_model_makes_it_another(owner, change):
    assert owner("mine", "rgb", mine=change) == "mine"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"fusion": {"weights": {"rgb": 1}}},
        {"modalities": ["rgb"]},
        {"training": {"per_modality": {"flow": {"dropout": 0.1}}}},
        {"model": {"cross_modality": False}},
    ],
)
def test_what_does_not_concern_a_model_leaves_it_shared(owner, change):
    assert owner("mine", "rgb", mine=change) == "tsn"
    assert owner("mine", "rgb", "scored_by", mine=change) == "tsn"


def test_another_test_scores_the_shared_model_again(owner):
    quick = {"test": {"crops": 1}}
    assert owner("quick", "rgb", quick=quick) == "tsn"
    assert owner("quick", "rgb", "scored_by", quick=quick) == "quick"


def test_a_repeated_experiment_has_another_seed_and_shares_as_the_first_one_does(config, owner):
    repeated = Configuration(config).settings("ucf101", "cross_modality.seed7")
    assert repeated.seed == 7
    assert repeated.training("rgb").segments == 1
    assert owner("cross_modality.seed7", "rgb") == "pretrain_spatial.seed7"
    assert owner("tsn.seed7", "rgb") == "tsn.seed7"
    assert owner("tsn.seed1", "rgb") == "tsn"  # the configuration's own seed


def test_an_experiment_with_a_seed_of_its_own_shares_with_the_repeated_one(owner):
    again = {"seed": 7}
    assert owner("again", "rgb", again=again) == owner("tsn.seed7", "rgb", again=again) == "again"


def test_a_name_that_looks_like_a_repetition_may_be_defined(config):
    config["experiments"]["tsn.seed9"] = {"seed": 4}
    Configuration(config)
    assert Configuration(config).settings("ucf101", "tsn.seed9").seed == 4


def test_an_unknown_experiment_with_a_seed_is_unknown(config):
    with pytest.raises(UserError, match="no 'tsm' in the configuration"):
        Configuration(config).settings("ucf101", "tsm.seed2")


def test_every_row_of_a_table_must_name_an_experiment(config):
    config["tables"]["segments"]["K = 5"] = "k55"
    with pytest.raises(UserError, match=r"tables\.segments\.K = 5: 'k55' is not defined"):
        Configuration(config)
