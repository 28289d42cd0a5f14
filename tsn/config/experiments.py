"""The merged configuration: settings of each data set and experiment.

Experiments of a data set often agree in all that determines one of their models: the RGB network of
"pretrain_spatial" is that of "cross_modality", and every row of the table of inputs has the RGB
network of "two_stream". Each network is trained once: its files lie with the first experiment, in
the order of the configuration, that names it; the others read them there.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tsn.config.checks import check_settings, checked_dataset, place
from tsn.config.datasets import DatasetConfig
from tsn.config.document import Document, Override
from tsn.config.fields import build, keys_of
from tsn.config.layers import merge, of_modality, override, with_preset
from tsn.config.schema import (
    BLOCKS,
    DataConfig,
    FeaturesConfig,
    FlowConfig,
    FramesConfig,
    FusionConfig,
    ModelConfig,
    ReportConfig,
    TestConfig,
    TrainingConfig,
)
from tsn.models.modality import SNIPPET_LENGTH, STREAM_OF
from tsn.runtime.errors import UserError, about_key

_KEYS = tuple(Override.model_fields)
"""What data sets and experiments may override."""


@dataclass(frozen=True)
class Settings:
    """One data set under one experiment.

    `blocks` says the same as it would stand in YAML, for the record.
    """

    dataset: DatasetConfig
    experiment: str
    seed: int
    modalities: tuple[str, ...]
    data: DataConfig
    frames: FramesConfig
    flow: FlowConfig
    models: dict[str, ModelConfig]
    trainings: dict[str, TrainingConfig]
    test: TestConfig
    fusion: FusionConfig
    features: FeaturesConfig
    report: ReportConfig
    blocks: dict

    @property
    def streams(self) -> list[str]:
        """The streams (shard types) that the modalities need."""
        return list(dict.fromkeys(STREAM_OF[modality] for modality in self.modalities))

    @property
    def fused(self) -> tuple[str, ...]:
        """The experiments whose scores are fused: usually its own."""
        return self.fusion.experiments or (self.experiment,)

    def model(self, modality: str) -> ModelConfig:
        """The network of a modality that is trained."""
        return self.models[modality]

    def training(self, modality: str) -> TrainingConfig:
        """The recipe of a modality that is trained."""
        return self.trainings[modality]


class Configuration:
    """The checked configuration.

    Args:
        layers: files of the configuration as maps, each over those before it; the first is
            config.yaml. They stay as they are.

    Attributes:
        experiment: the one that is published.
        datasets, experiments: their names.
        tables: table -> row -> experiment or None.
        table_seeds: seeds that the tables' cells are means over.

    Raises:
        UserError: naming the first key that is unknown or of a wrong type. Keys that are impossible
            beside each other are found by `settings`: an experiment that is not run stops none.
    """

    def __init__(self, *layers: dict):
        self._layers: list[dict[str, Any]] = [
            build(Document, layer).model_dump(mode="json", exclude_unset=True) for layer in layers
        ]
        self._whole: dict[str, Any] = {}
        for layer in self._layers:
            self._whole = merge(self._whole, layer)
        for key in Document.model_fields:
            if key not in self._whole:
                raise UserError(f"{key}: this key is missing")
        self.experiment: str = self._whole["experiment"]
        self.datasets = tuple(self._whole["datasets"])
        self.experiments = tuple(self._whole["experiments"])
        self.tables: dict[str, dict[str, str | None]] = self._whole["tables"]
        self.table_seeds: list[int] = self._whole["table_seeds"]
        # Snakemake asks for the same few again and again.
        self.settings = cache(self._settings)
        self.unchecked_settings = cache(self._unchecked_settings)
        self.trained_by = cache(self._trained_by)
        self.scored_by = cache(self._scored_by)
        self._check()

    def _check(self) -> None:
        if self._split_seed(self.experiment)[0] not in self.experiments:
            raise UserError(
                f"experiment: {self.experiment!r} is not defined under experiments "
                f"(there are: {', '.join(self.experiments)})"
            )
        for table, rows in self.tables.items():
            for row, experiment in rows.items():
                base, _ = self._split_seed(experiment or self.experiment)
                if base not in self.experiments:
                    raise UserError(
                        f"tables.{table}.{row}: {experiment!r} is not defined under experiments; "
                        "correct the name, or write null to leave the row empty"
                    )

    def _settings(self, dataset: str, experiment: str) -> Settings:
        """A data set's and an experiment's keys over those for all, checked against each other."""
        settings = self.unchecked_settings(dataset, experiment)
        with about_key("fusion.experiments"):
            fused = [self.unchecked_settings(dataset, name) for name in settings.fused]
        check_settings(settings, fused)
        return settings

    def _unchecked_settings(self, dataset: str, experiment: str) -> Settings:
        """The same of a data set or an experiment that need not be fit to be run.

        The experiment "tsn.seed2" is "tsn" with the seed 2.
        """
        base, seed = self._split_seed(experiment)
        for kind, name in (("datasets", dataset), ("experiments", base)):
            if name not in self._whole[kind]:
                raise UserError(
                    f"{kind}: there is no {name!r} in the configuration "
                    f"(there are: {', '.join(self._whole[kind])})"
                )
        source = checked_dataset(dataset, self._whole["datasets"][dataset])
        blocks: dict[str, Any] = {name: {} for name in BLOCKS}
        for layer in self._layers:
            own = layer.get("datasets", {}).get(dataset, {}).get("override", {})
            for keys in ({key: layer[key] for key in _KEYS if key in layer}, own):
                blocks = override(blocks, with_preset(keys, source.layout))
        for layer in self._layers:
            keys = layer.get("experiments", {}).get(base, {})
            blocks = override(blocks, with_preset(keys, source.layout))
        if seed is not None:
            blocks["seed"] = seed
        return _typed(source, experiment, blocks)

    def _split_seed(self, experiment: str) -> tuple[str, int | None]:
        """Undo `with_seed`, unless an experiment is defined by the whole name."""
        repeated = re.fullmatch(r"(.+)\.seed(\d{1,10})", experiment)
        if experiment in self.experiments or not repeated:
            return experiment, None
        return repeated[1], int(repeated[2])

    def _trained_by(self, dataset: str, experiment: str, modality: str) -> str:
        """The experiment whose folder holds the model of a modality of an experiment."""
        return self._first(dataset, experiment, modality, _identity_of_model)

    def _scored_by(self, dataset: str, experiment: str, modality: str) -> str:
        """The experiment whose folder holds the scores: the model and the test are the same."""
        return self._first(dataset, experiment, modality, _identity_of_scores)

    def _first(
        self,
        dataset: str,
        experiment: str,
        modality: str,
        identity: Callable[[Settings, str], Hashable],
    ) -> str:
        asked = self.unchecked_settings(dataset, experiment)
        wanted, seed = identity(asked, modality), asked.seed
        for names in (self.experiments, [with_seed(name, seed) for name in self.experiments]):
            for name in names:
                settings = self.unchecked_settings(dataset, name)
                if modality in settings.modalities and identity(settings, modality) == wanted:
                    return name
        return experiment


def with_seed(experiment: str, seed: int) -> str:
    """The name of an experiment repeated with another seed."""
    return f"{experiment}.seed{seed}"


def paper_weights(modalities: list[str] | tuple[str, ...]) -> dict[str, float]:
    """The paper's fusion weights: RGB : flow = 1 : 1.5, RGB : flow : warped = 1 : 1 : .5.

    Source: Wang et al. 2016, section 4.2. The paper gives none for RGB difference; ours is 1.
    """
    flow = 1.0 if "warped_flow" in modalities else 1.5
    paper = {"rgb": 1.0, "flow": flow, "warped_flow": 0.5, "rgb_diff": 1.0}
    return {modality: paper[modality] for modality in modalities}


def _typed(dataset: DatasetConfig, experiment: str, blocks: dict[str, Any]) -> Settings:
    """The settings from merged blocks, with everything that is missing found."""
    where = place(dataset.name, experiment)

    def typed(name: str, keys: dict[str, Any], hint: str = "") -> Any:
        try:
            return build(BLOCKS[name], keys, name)
        except UserError as error:
            raise UserError(f"{error}{hint} {where}") from None

    modalities = tuple(blocks["modalities"])
    flow: dict[str, Any] = {"params": {}}
    for key, value in blocks["flow"].items():
        (flow if key in keys_of(FlowConfig) else flow["params"])[key] = value
    if blocks["fusion"].get("weights") == "paper":
        blocks["fusion"] = {**blocks["fusion"], "weights": paper_weights(modalities)}
    return Settings(
        dataset,
        experiment,
        blocks["seed"],
        modalities,
        typed("data", blocks["data"]),
        typed("frames", blocks["frames"]),
        typed("flow", flow),
        {m: typed("model", _model_keys(blocks["model"], m)) for m in modalities},
        {
            m: typed("training", of_modality(blocks["training"], m), "; set it, or training.preset")
            for m in modalities
        },
        typed("test", blocks["test"]),
        typed("fusion", blocks["fusion"]),
        typed("features", blocks["features"]),
        typed("report", blocks["report"]),
        blocks,
    )


def _model_keys(block: dict, modality: str) -> dict:
    """The keys of one modality's network, without what means nothing to it.

    Cross-modality initialisation and the length of snippets are not for RGB. Without the former, a
    modality other than RGB starts from scratch, whatever the weights are.
    """
    keys = of_modality(block, modality)
    if modality == "rgb":
        return {**keys, "cross_modality": True, "snippet_length": SNIPPET_LENGTH}
    return keys if keys.get("cross_modality") else {**keys, "weights": "none", "sha256": None}


def _identity_of_model(settings: Settings, modality: str) -> Hashable:
    """What determines a model; its split and shards are the same for all experiments."""
    return settings.seed, settings.model(modality), settings.training(modality)


def _identity_of_scores(settings: Settings, modality: str) -> Hashable:
    return _identity_of_model(settings, modality), settings.test
