"""Configurations with a change, and what is said of them."""

import pytest

from tsn.config.experiments import Configuration, Settings
from tsn.runtime.errors import UserError


def resolve(config: dict, dataset: str, experiment: str, *more: dict) -> Settings:
    return Configuration(config, *more).settings(dataset, experiment)


def put(config: dict, key: str, value) -> dict:
    """The configuration with one key, given by its dotted path, changed."""
    *blocks, last = key.split(".")
    for name in blocks:
        config = config[name]
    config[last] = value


def check_all(*layers: dict) -> None:
    """Check every data set under every experiment."""
    configuration = Configuration(*layers)
    for dataset in configuration.datasets:
        for experiment in configuration.experiments:
            configuration.settings(dataset, experiment)


def complaint(config: dict, **changes) -> str:
    for key, value in changes.items():
        put(config, key, value)
    with pytest.raises(UserError) as caught:
        check_all(config)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence
