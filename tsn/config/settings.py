"""The configuration: checked against its schema, resolved per data set and experiment.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import copy
import re
from dataclasses import asdict, dataclass

from tsn.config.checks import check_blocks, check_complete, checked_dataset
from tsn.config.layers import merge, of_modality, with_preset, without_overruled
from tsn.config.schema import DatasetConfig
from tsn.config.validation import check_schema
from tsn.models.modality import STREAM_OF
from tsn.runtime.errors import UserError

OVERRIDABLE = (
    "seed",
    "modalities",
    "data",
    "frames",
    "flow",
    "model",
    "training",
    "test",
    "fusion",
)


@dataclass(frozen=True)
class Settings:
    """One data set under one experiment: blocks as plain dictionaries, fit for `params:`."""

    dataset: DatasetConfig
    experiment: str
    blocks: dict

    @property
    def plain_dataset(self) -> dict:
        """The data set's configuration as plain values."""
        return asdict(self.dataset)

    @property
    def modalities(self) -> list[str]:
        """The modalities that are trained, in the order of the config."""
        return self.blocks["modalities"]

    @property
    def streams(self) -> list[str]:
        """The kinds of shards that the modalities need."""
        return list(dict.fromkeys(STREAM_OF[modality] for modality in self.modalities))

    def model(self, modality: str) -> dict:
        """The model block of one modality, without what means nothing to it.

        Cross-modality initialisation is not for RGB; without it, a modality other than RGB starts
        from scratch, whatever the weights are.
        """
        block = of_modality(self.blocks["model"], modality)
        if modality == "rgb":
            return {**block, "cross_modality": True}
        return block if block["cross_modality"] else {**block, "weights": "none", "sha256": None}

    def training(self, modality: str) -> dict:
        """The training block of one modality."""
        return of_modality(self.blocks["training"], modality)


def check(config: dict) -> None:
    """Check a whole configuration.

    Raises:
        UserError: with the name of the first key that is unknown, of a wrong type, or
            impossible beside another.
    """
    check_schema(config)
    if config["experiment"] not in config["experiments"]:
        raise UserError(
            f"experiment: {config['experiment']!r} is not defined under experiments "
            f"(there are: {', '.join(config['experiments'])})"
        )
    for table, rows in config["tables"].items():
        for row, experiment in rows.items():
            base, _ = _split_seed(experiment or config["experiment"], config["experiments"])
            if base not in config["experiments"]:
                raise UserError(
                    f"tables.{table}.{row}: {experiment!r} is not defined under experiments; "
                    "correct the name, or write null to leave the row empty"
                )
    for dataset in config["datasets"]:
        for experiment in config["experiments"]:
            resolve(config, dataset, experiment)


def resolve(config: dict, dataset: str, experiment: str) -> Settings:
    """Lay a data set's and then an experiment's overrides over the base configuration.

    The experiment "tsn.seed2" is "tsn" with the seed 2.
    """
    base, seed = _split_seed(experiment, config["experiments"])
    for kind, name in (("datasets", dataset), ("experiments", base)):
        if name not in config[kind]:
            known = ", ".join(config[kind])
            raise UserError(
                f"{kind}: there is no {name!r} in the configuration (there are: {known})"
            )
    blocks = {key: copy.deepcopy(config[key]) for key in OVERRIDABLE}
    layout = config["datasets"][dataset]["layout"]
    blocks = with_preset(blocks, layout)
    for override in (
        with_preset(config["datasets"][dataset].get("override", {}), layout),
        with_preset(config["experiments"][base], layout),
        {} if seed is None else {"seed": seed},
    ):
        blocks = merge(without_overruled(blocks, override), override)
    where = f"datasets.{dataset}, experiment {experiment}"
    settings = Settings(checked_dataset(dataset, config["datasets"][dataset]), experiment, blocks)
    check_complete(settings, where)
    check_blocks(settings, where)
    fusion = blocks["fusion"]
    if fusion["weights"] == "paper":
        fusion["weights"] = paper_weights(settings.modalities)
    return settings


def with_seed(experiment: str, seed: int) -> str:
    """The name of an experiment repeated with another seed."""
    return f"{experiment}.seed{seed}"


def _split_seed(experiment: str, defined: dict) -> tuple[str, int | None]:
    """Undo `with_seed`, unless an experiment is defined by the whole name."""
    repeated = re.fullmatch(r"(.+)\.seed(\d{1,9})", experiment)
    if experiment in defined or not repeated:
        return experiment, None
    return repeated[1], int(repeated[2])


def paper_weights(modalities: list[str]) -> dict[str, float]:
    """The paper's fusion weights: RGB : flow = 1 : 1.5, RGB : flow : warped = 1 : 1 : .5.

    Source: Wang et al. 2016, section 4.2. The paper gives none for RGB difference; ours is 1.
    """
    flow = 1.0 if "warped_flow" in modalities else 1.5
    paper = {"rgb": 1.0, "flow": flow, "warped_flow": 0.5, "rgb_diff": 1.0}
    return {modality: paper[modality] for modality in modalities}
