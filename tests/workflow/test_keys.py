"""Every key of the configuration reaches the rules that it is about, and no others."""

import copy
import os
from pathlib import Path

import pytest
from snakemake.api import SnakemakeApi
from snakemake.iocontainers import Wildcards
from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

from tsn.config.document import Document, Layer
from tsn.config.experiments import Configuration

PROJECT = Path(__file__).parents[2]
WILDCARDS = {
    "dataset": "own",
    "experiment": "tsn",
    "split": "1",
    "modality": "flow",
    "stream": "flow",
    "shard": "0000",
    "table": "mine",
}

SHARDS = {"decode_frames", "compute_flow", "compute_warped_flow"}
FLOW = {"compute_flow", "compute_warped_flow"}
TRAINING = {"train_model"}
TEST = {"score_videos", "score_held_out"}
INDEX = {"index_videos", "render_demo"}
VIDEOS = {"index_videos", "render_demo", "lists of the shards"}

# Key: a value other than the default, and the rules whose parameters change with it, beside
# summarise_fusion, which records all keys but those of `datasets`, `experiment` and the tables.
KEYS = {
    "experiment": ("k5", set()),
    "seed": (2, {"train_model", "score_held_out", "fill_table"}),
    "modalities": (["rgb", "flow"], {"fuse_scores", "fill_table", "draw_clips", "draw_saliency"}),
    "tables": ({"mine": {"ours": "k5"}}, {"fill_table"}),
    "table_seeds": ([2147483647], {"fill_table"}),
    "data.missing": ("exclude", {"index_videos"}),
    "data.invalid_rows": ("refuse", {"index_videos"}),
    "data.max_quarantined": (7, {"check_shards"}),
    "data.max_frames": (77, SHARDS),
    "frames.size": ([256, 256], {"decode_frames", "compute_flow"}),
    "frames.short_side": (128, {"decode_frames", "compute_flow"}),
    "frames.jpeg_quality": (77, {"decode_frames"}),
    "flow.algorithm": ("dis", FLOW),
    "flow.weights": ("C_T_V2", FLOW),
    "flow.sha256": ("0123456789", FLOW),
    "flow.backend": ("native_cpu", FLOW),
    "flow.bound": (7, FLOW),
    "flow.step": (2, FLOW),
    "flow.tau": (0.1, FLOW),
    "flow.lambda_": (0.1, FLOW),
    "flow.theta": (0.1, FLOW),
    "flow.pyramid_levels": (3, FLOW),
    "flow.scale_step": (0.5, FLOW),
    "flow.warps": (3, FLOW),
    "flow.epsilon": (0.1, FLOW),
    "flow.iterations": (30, FLOW),
    "flow.median_filter": (5, FLOW),
    "flow.gamma": (0.1, FLOW),
    "flow.variant": ("opencv_cuda", FLOW),
    "model.backbone": ("resnet50", TRAINING | {"fill_table"}),
    "model.weights": ("none", TRAINING | {"fill_table"}),
    "model.sha256": ("0123456789", TRAINING | {"fill_table"}),
    "model.cross_modality": (False, TRAINING | {"fill_table"}),
    "model.consensus": ("max", TRAINING | {"fill_table"}),
    "model.input_size": (96, TRAINING | {"fill_table"}),
    "model.snippet_length": (3, TRAINING | {"fill_table"}),
    "model.per_modality": ({"flow": {"input_size": 96}}, TRAINING | {"fill_table"}),
    "training.preset": ("caffe", TRAINING),
    "training.segments": (4, TRAINING),
    "training.batch_size": (7, TRAINING),
    "training.micro_batch": (7, TRAINING),
    "training.lr_milestones": ([7], TRAINING),
    "training.lr": (0.1, TRAINING),
    "training.momentum": (0.1, TRAINING),
    "training.weight_decay": (0.1, TRAINING),
    "training.clip_gradient": (7, TRAINING),
    "training.dropout": (0.1, TRAINING),
    "training.partial_bn": (False, TRAINING),
    "training.crop_scales": ([1], TRAINING),
    "training.flip": (False, TRAINING),
    "training.loss": ("bce", TRAINING),
    "training.class_weights": ("balanced", TRAINING),
    "training.sampling": ("balanced", TRAINING),
    "training.label_smoothing": (0.1, TRAINING),
    "training.precision": ("fp32", TRAINING | TEST),
    "training.compile": (True, TRAINING),
    "training.validation": (0.1, {"train_model", "score_held_out"}),
    "training.keep": ("best", TRAINING),
    "training.epochs": (1000, TRAINING),
    "training.iterations": (1000, TRAINING),
    "training.method": ("linear_probe", TRAINING),
    "training.per_modality": ({"flow": {"lr": 0.1}}, TRAINING),
    "test.segments": (7, TEST | {"fill_table"}),
    "test.crops": (1, TEST | {"fill_table"}),
    "test.crop_size": (96, TEST | {"extract_features"} | {"fill_table"}),
    "test.snippet_sampling": ("caffe", TEST | {"fill_table"}),
    "test.pooling": ("max", TEST | {"fill_table"}),
    "test.protocol": ("dense", TEST | {"fill_table"}),
    "test.stride": (0.5, TEST | {"fill_table"}),
    "test.engine": ("torch", TEST | {"extract_features"} | {"fill_table"}),
    "fusion.weights": ({"flow": 1}, {"fuse_scores", "fill_table"}),
    "fusion.compare": ({"both": {"flow": 1}}, {"fuse_scores"}),
    "fusion.fuse": ("probabilities", {"fuse_scores", "search_weights", "fill_table"}),
    "fusion.pooling": ("max", {"fuse_scores", "search_weights", "fill_table"}),
    "fusion.calibrate": ("temperature", {"fuse_scores"}),
    "fusion.experiments": (["tsn", "k5"], {"fuse_scores", "fill_table"}),
    "report.saliency": (True, set()),
    "features.stride": (4, {"extract_features"}),
    "features.crops": (10, {"extract_features"}),
    "features.layer": ("scores", {"extract_features"}),
    "datasets.own.videos": ("elsewhere", VIDEOS),
    "datasets.own.splits": ([2], VIDEOS | {"draw_clips", "fill_table"}),
    "datasets.own.shards": (1, INDEX),
    "datasets.own.classes": (["a"], VIDEOS),
    "datasets.own.parts": ({"extra": None}, INDEX),
    "datasets.own.nested": (True, INDEX),
    "datasets.own.test_ratio": (0.5, VIDEOS),
    "datasets.own.group_pattern": (r"(\d)$", VIDEOS),
    "datasets.own.split_seed": (2, VIDEOS),
    "datasets.own.override": ({"frames": {"jpeg_quality": 7}}, {"decode_frames"}),
    "datasets.official.lists": ("elsewhere", INDEX),
    "datasets.official.check_counts": (False, INDEX),
    "datasets.listed.annotations": ("other.csv", INDEX),
    "datasets.listed.class_list": ("names.txt", INDEX),
    "datasets.listed.frame_folders": ({"naming": "jester"}, INDEX | SHARDS),
    "datasets.listed.multi_label": (True, INDEX),
    "datasets.listed.columns": ({"path": "file"}, INDEX),
    "datasets.demo.train_per_class": (7, INDEX),
    "datasets.demo.test_per_class": (7, INDEX),
    "datasets.demo.render_seed": (7, INDEX),
}
OF_ALL = (
    "data",
    "frames",
    "flow",
    "model",
    "training",
    "test",
    "fusion",
    "features",
    "report",
    "seed",
    "modalities",
)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """A function: layers over config.yaml -> rule -> its parameters, without those of code."""
    folder = tmp_path_factory.mktemp("keys")
    environment, before = dict(os.environ), Path.cwd()
    for name in ("videos", "elsewhere"):
        for video in range(4):
            for class_name in "ab":
                (folder / name / class_name).mkdir(parents=True, exist_ok=True)
                (folder / name / class_name / f"{name}{video}.avi").touch()
    with SnakemakeApi(OutputSettings(quiet=["all"])) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(),
            snakefile=PROJECT / "Snakefile",
            workdir=folder,
        )._workflow
        scope = workflow.globals

        def parameters(*layers: dict, dataset="own") -> dict[str, dict]:
            scope["configuration"] = Configuration(*layers)
            for cached in ("settings", "listing"):
                scope[cached].cache_clear()
            wildcards = Wildcards(fromdict={**WILDCARDS, "dataset": dataset})
            found: dict[str, dict] = {}
            for rule in workflow.rules:
                for name, value in rule.params.items():
                    # What lists hold is known for data sets that are on disk only.
                    if name == "code" or (name == "videos" and dataset != "own"):
                        continue
                    if rule.name in SHARDS and name == "videos":
                        if rule.name == "decode_frames":
                            found["lists of the shards"] = {"": str(scope["listing"](dataset))}
                        continue
                    made = value(wildcards) if callable(value) else value
                    found.setdefault(rule.name, {})[name] = copy.deepcopy(made)
            return found

        yield parameters
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(before)


@pytest.fixture
def base(config) -> dict:
    config["datasets"] = {
        "own": {"layout": "folder", "videos": "videos", "shards": 2},
        "official": {"layout": "ucf101", "videos": "videos", "lists": "lists"},
        "listed": {"layout": "list", "videos": "videos", "annotations": "list.csv"},
        "demo": {"layout": "demo"},
    }
    config["experiments"] = {"tsn": {}, "k5": {"training": {"segments": 5}}}
    config["tables"] = {"mine": {"ours": "tsn"}}
    config["frames"]["size"] = [128, 128]
    config["test"]["crop_size"] = 112
    return config


def leaves(layer: type[Layer], *without: str) -> set[str]:
    """The keys of a file of the configuration, those of blocks with the block's name."""
    found = set()
    for key, field in layer.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, Layer):
            found |= {f"{key}.{name}" for name in kind.model_fields}
        elif key not in without:
            found.add(key)
    return found


def test_every_key_of_the_model_is_in_the_table_above():
    (_, of_datasets) = Document.model_fields["datasets"].annotation.__args__
    keys = {key for key in KEYS if not key.startswith("datasets.")}
    assert keys == leaves(Document, "datasets", "experiments")
    # The layout is that of the data set, and changes what its other keys are.
    keys = {key.split(".")[2] for key in KEYS if key.startswith("datasets.")} | {"layout"}
    assert keys == set(of_datasets.model_fields)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_changes_the_parameters_of_the_rules_that_it_is_about(rules, base, key):
    value, expected = KEYS[key]
    layer: dict = {}
    *blocks, last = key.split(".")
    block = layer
    for name in blocks:
        block = block.setdefault(name, {})
    block[last] = value
    if key == "model.sha256":
        layer["model"]["weights"] = str(PROJECT / "README.md")
        base["model"]["weights"] = str(PROJECT / "README.md")
    if key == "fusion.calibrate":
        base["training"]["validation"] = 0.1
    dataset = blocks[1] if blocks[:1] == ["datasets"] else "own"
    before, after = rules(base, dataset=dataset), rules(base, layer, dataset=dataset)
    changed = {rule for rule in before if before[rule] != after[rule]}
    if blocks[:1] == ["datasets"] and key != "datasets.own.override":
        assert changed - {"lists of the shards"} == expected - {"lists of the shards"}
        if "lists of the shards" in expected:
            assert "lists of the shards" in changed
    else:
        recorded = {"summarise_fusion"} if key.split(".")[0] in (*OF_ALL, "datasets") else set()
        assert changed == expected | recorded
