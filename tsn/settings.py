"""The configuration: checked against its schema, resolved per data set and experiment.

Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

import copy
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tsn.config import BLOCKS, DatasetConfig, FlowConfig, build
from tsn.config_schema import check_schema
from tsn.data.grouped import OFFICIAL_GROUPS
from tsn.errors import UserError
from tsn.modality import STREAM_OF
from tsn.models.download import expected_digits, is_address
from tsn.models.names import check_name
from tsn.training.presets import preset

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
LAYOUT_KEYS = {
    "ucf101": {"videos", "lists", "classes", "check_counts"},
    "hmdb51": {"videos", "lists", "classes", "check_counts"},
    "folder": {"videos", "classes", "test_ratio", "group_pattern", "split_seed"},
    "demo": {"train_per_class", "test_per_class", "render_seed"},
}
COMMON_DATASET_KEYS = {"layout", "splits", "shards", "override"}


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
    def groups(self) -> str | None:
        """The pattern that finds the group of related clips in a video's id; None: no groups."""
        return self.dataset.group_pattern or OFFICIAL_GROUPS.get(self.dataset.layout)

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
        block = _of_modality(self.blocks["model"], modality)
        if modality == "rgb":
            return {**block, "cross_modality": True}
        return block if block["cross_modality"] else {**block, "weights": "none", "sha256": None}

    def training(self, modality: str) -> dict:
        """The training block of one modality."""
        return _of_modality(self.blocks["training"], modality)


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
    blocks = _with_preset(blocks, layout)
    for override in (
        _with_preset(config["datasets"][dataset].get("override", {}), layout),
        _with_preset(config["experiments"][base], layout),
        {} if seed is None else {"seed": seed},
    ):
        blocks = _merge(_without_overruled(blocks, override), override)
    where = f"datasets.{dataset}, experiment {experiment}"
    settings = Settings(_dataset(dataset, config["datasets"][dataset]), experiment, blocks)
    _check_complete(settings, where)
    _check_blocks(settings, where)
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


def check_model(model: dict) -> None:
    """Check what can be known of a model block before hours of flow are computed.

    Raises:
        UserError: if there is no such backbone, it has no weights of its own, the file of weights
            is absent, or an address comes without a checksum.
    """
    for modality in model.get("per_modality", {}):
        check_model(_of_modality(model, modality))
    weights, backbone = model["weights"], model["backbone"]
    try:
        check_name(backbone)
    except UserError as error:
        raise UserError(f"model.backbone: {error}") from None
    if weights in ("imagenet", "none"):
        if model["sha256"]:
            raise UserError(f"model.sha256: it checks a file, and model.weights is {weights!r}")
        if weights == "imagenet" and backbone in ("bn_inception", "clarifai"):
            raise UserError(
                f"model.weights: {backbone} comes with no weights; give the path or the address "
                "of a converted Caffe file (docs/models.md), or none"
            )
    elif is_address(weights):
        expected_digits(weights, model["sha256"])
    elif not Path(weights).expanduser().is_file():
        raise UserError(f"model.weights: there is no file {weights!r}; correct the path")


def paper_weights(modalities: list[str]) -> dict[str, float]:
    """The paper's fusion weights: RGB : flow = 1 : 1.5, RGB : flow : warped = 1 : 1 : .5.

    Source: Wang et al. 2016, section 4.2. The paper gives none for RGB difference; ours is 1.
    """
    flow = 1.0 if "warped_flow" in modalities else 1.5
    paper = {"rgb": 1.0, "flow": flow, "warped_flow": 0.5, "rgb_diff": 1.0}
    return {modality: paper[modality] for modality in modalities}


def _with_preset(layer: dict, layout: str) -> dict:
    """The layer with `training.preset` replaced by what it stands for; keys beside it win."""
    training = dict(layer.get("training", {}))
    name = training.pop("preset", None)
    if name is None:
        return {**layer, "training": training} if "training" in layer else layer
    published = _without_overruled({"training": preset(name, layout)}, {"training": training})
    return {**layer, "training": _merge(published["training"], training)}


def _of_modality(block: dict, modality: str) -> dict:
    """A block with `per_modality` applied."""
    common = {key: value for key, value in block.items() if key != "per_modality"}
    return {**common, **block.get("per_modality", {}).get(modality, {})}


def _without_overruled(blocks: dict, override: dict) -> dict:
    """A key of an override wins over `per_modality` of what it is laid over."""
    left = dict(blocks)
    for name in ("model", "training"):
        if "per_modality" not in blocks.get(name, {}):
            continue
        keys = override.get(name, {}).keys() - {"per_modality"}
        left[name] = dict(blocks[name])
        left[name]["per_modality"] = {
            modality: {key: value for key, value in special.items() if key not in keys}
            for modality, special in blocks[name]["per_modality"].items()
        }
    return left


def _merge(base: dict, over: dict) -> dict:
    """Deep merge; the two maps of the fusion block are replaced as a whole."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        deep = (
            isinstance(old, dict) and isinstance(value, dict) and key not in ("weights", "compare")
        )
        merged[key] = _merge(old, value) if deep else copy.deepcopy(value)
    return merged


def _dataset(name: str, block: dict) -> DatasetConfig:
    where = f"datasets.{name}"
    layout = block["layout"]
    for key in block:
        if key not in LAYOUT_KEYS[layout] | COMMON_DATASET_KEYS:
            raise UserError(
                f"{where}.{key}: this key means nothing to the layout {layout!r}; remove it"
            )
    needed = {"ucf101": ("videos", "lists"), "hmdb51": ("videos", "lists"), "folder": ("videos",)}
    for key in needed.get(layout, ()):
        if key not in block:
            raise UserError(f"{where}.{key}: missing; the layout {layout!r} needs this folder")
    known = {"ucf101": {1, 2, 3}, "hmdb51": {1, 2, 3}, "demo": {1}}.get(layout)
    for split in block.get("splits", ()):
        if known and split not in known:
            raise UserError(f"{where}.splits: {layout} has no split {split}; it has {known}")
    if block.get("group_pattern"):
        try:
            re.compile(block["group_pattern"])
        except re.error as error:
            raise UserError(f"{where}.group_pattern: not a regular expression: {error}") from None
    home = {k: str(Path(block[k]).expanduser()) for k in ("videos", "lists") if k in block}
    return build(DatasetConfig, {**block, **home, "name": name})


def _check_complete(settings: Settings, where: str) -> None:
    for name, kind in BLOCKS.items():
        for key in (f.name for f in fields(kind)):
            found = [settings.training(m) for m in settings.modalities]
            found = found if name == "training" else [settings.blocks[name]]
            if key != "params" and not all(key in block for block in found):
                hint = "; set it, or training.preset" if name == "training" else ""
                raise UserError(f"{name}.{key}: this key is missing{hint} ({where})")


def _check_blocks(settings: Settings, where: str) -> None:
    blocks, modalities = settings.blocks, settings.modalities
    try:
        FlowConfig.from_dict(blocks["flow"])
    except UserError as error:
        raise UserError(f"flow: {error} ({where})") from None
    width, height = blocks["frames"]["size"]
    if blocks["test"]["crop_size"] > min(width, height):
        raise UserError(
            f"test.crop_size: a crop of {blocks['test']['crop_size']} px is larger than the frame "
            f"of {width}x{height} px in frames.size ({where})"
        )
    for modality in modalities:
        recipe = settings.training(modality)
        if any(step >= recipe["length"] for step in recipe["steps"]):
            raise UserError(
                f"training.steps: {recipe['steps']} of {modality} must lie below training.length, "
                f"which is {recipe['length']} ({where})"
            )
    combinations = {f"compare.{name}": w for name, w in blocks["fusion"]["compare"].items()}
    if blocks["fusion"]["weights"] == "search":
        for modality in modalities:
            if not settings.training(modality)["validation"]:
                raise UserError(
                    "fusion.weights: search chooses them on training videos that are held out, "
                    f"never on test videos, and training.validation holds none out for {modality}; "
                    f"set it to 0.2, say ({where})"
                )
    elif blocks["fusion"]["weights"] != "paper":
        combinations["weights"] = blocks["fusion"]["weights"]
    for name, weights in combinations.items():
        for modality in weights:
            if modality not in modalities:
                raise UserError(
                    f"fusion.{name}.{modality}: this modality is not trained; add it to modalities "
                    f"({', '.join(modalities)}) or remove its weight ({where})"
                )
        if not any(weights.values()):
            raise UserError(f"fusion.{name}: at least one weight must be above zero ({where})")
