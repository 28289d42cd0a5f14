"""A finished run on three tiny videos, with untrained models, and their scores by the pipeline."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from tsn.config.schema import FlowConfig, FramesConfig, FusionConfig, TestConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets import demo
from tsn.datasets.build_index import write_index
from tsn.datasets.index import read_index
from tsn.datasets.listing import Listing
from tsn.datasets.records import Video
from tsn.evaluation.fusion import fuse_split
from tsn.evaluation.protocol import score
from tsn.evaluation.scores import Scores
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard
from tsn.runtime.files import write_json
from tsn.shards.build import build_rgb_shard
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo, save_model
from tsn.training.train import new_network

SIZE = (64, 48)
PROTOCOL = TestConfig(segments=4, crops=10, crop_size=32, snippet_sampling="segment_centres")
LENGTHS = {"rgb": 5, "flow": 8, "warped_flow": 5, "rgb_diff": 3}
"""Of snippets; RGB has one frame whatever it is."""
WEIGHTS = {"rgb": 1.0, "flow": 1.0, "warped_flow": 0.5, "rgb_diff": 1.0}


@dataclass(frozen=True)
class Finished:
    """`videos`: its test videos; `scores`: by modality, what the pipeline's test gives them."""

    results: Path
    split: Path
    videos: list[Path]
    scores: dict[str, Scores]


@pytest.fixture(scope="session")
def run(tmp_path_factory, make_job) -> Finished:
    """Nobody may write into it."""
    folder = tmp_path_factory.mktemp("predict")
    videos = [folder / f"{number}.mp4" for number in range(3)]
    for clip, video in zip(demo.plan(1, 1, 1)[:3], videos, strict=True):
        demo.render(clip, video, SIZE, 16)
    sources = [Video(video.stem, str(video), "") for video in videos]
    shards = _shards(folder, sources)
    index = folder / "index.tsv"
    parts = zip(sources, "aab", ("test", "train", "test"), strict=True)
    listed = tuple(replace(s, class_name=name, splits={1: part}) for s, name, part in parts)
    write_index(index, Listing(("a", "b"), listed), 1, (1,))
    results = folder / "results"
    scores = {}
    for modality in WEIGHTS:
        # RGB difference is another experiment's, as where two have a model in common.
        owner = "other" if modality == "rgb_diff" else "mine"
        model = results / "set" / owner / "split1" / modality / "model.pt"
        stream = shards["rgb" if modality == "rgb_diff" else modality]
        job = make_job(modality, model={"snippet_length": LENGTHS[modality]})
        _save(model, job, ShardSet([stream]).fingerprint, owner)
        scores[modality] = score(model, index, [stream], 1, PROTOCOL, 1)
    split = results / "set" / "mine" / "split1"
    fusion = fuse_split(list(scores.values()), FusionConfig(WEIGHTS), read_index(index), 1, "mine")
    write_json(split / "fusion.json", fusion)
    return Finished(results, split, [videos[0], videos[2]], scores)


def _shards(folder: Path, sources: list[Video]) -> dict[str, str]:
    flow = FlowConfig("native", 6.0, TVL1Params(), step=2)
    shards = {name: str(folder / f"{name}.h5") for name in ("rgb", "flow", "warped_flow")}
    build_rgb_shard(shards["rgb"], sources, FramesConfig(SIZE, 90))
    build_flow_shard(shards["flow"], sources, SIZE, flow, 1)
    build_warped_shard(shards["warped_flow"], shards["flow"], sources, flow, 1)
    return shards


def _save(path: Path, job, fingerprint: dict, owner: str) -> None:
    torch.manual_seed(len(job.modality))
    network = new_network(2, job.modality, job.model, job.recipe)
    # The features of an untrained network are about 1e-5.
    torch.nn.init.normal_(network.classifier.weight, std=1e5)
    info = ModelInfo(
        "set", owner, 1, job.modality, ("a", "b"), job.model.backbone, job.model.consensus, 2, 32,
        1, fingerprint, "0", snippet_length=job.model.snippet_length,
    )  # fmt: skip
    save_model(path, network, info)
