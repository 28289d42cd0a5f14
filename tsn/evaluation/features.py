"""Features of videos: what a network gives its last layer, at a fixed rate."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from tsn.config.schema import FeaturesConfig, TestConfig
from tsn.data.dataset import TestSnippets
from tsn.data.loader import make_loader
from tsn.data.transforms import mirrored_labels
from tsn.datasets.index import read_index
from tsn.evaluation.engine import Scorer
from tsn.evaluation.protocol import check_shards, frame_rates, join_items, score_videos
from tsn.models.network import TSN
from tsn.runtime.files import atomic_path, sha256_of
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.runtime.progress import track
from tsn.shards.hdf5 import WITH_CHECKSUMS
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo, load_model
from tsn.training.device import prepare


@dataclass(frozen=True)
class Features:
    """Features of one video by one modality.

    Attributes:
        id: of the video.
        values: float32 (T, C), mean over the crops of each snippet.
        starts: int64 (T,), number of each snippet's first frame or flow field.
        frames: of the video.
        fps: its frames per second; NaN if they are not known.
    """

    id: str
    values: np.ndarray
    starts: np.ndarray
    frames: int
    fps: float


def cut_off(network: TSN, layer: str) -> TSN:
    """Make a network give the features of a layer as its scores, in place."""
    if layer == "pool":
        network.classifier = nn.Identity()  # type: ignore[assignment]
    return network


def describe(info: ModelInfo, chosen: FeaturesConfig) -> dict:
    """What features are: modality, layer, stride and crops, and frames or fields of a snippet."""
    frames = info.snippet_frames
    return {"modality": info.modality, **asdict(chosen), "snippet_frames": frames}


@oom_as_user_error("run fewer jobs at a time, or on a GPU with more")
def extract_features(
    path: Path | str,
    sources: tuple[str, str, list[str]],
    chosen: FeaturesConfig,
    crop_size: int,
    threads: int,
    engine: str = "auto",
) -> None:
    """Write the features of all usable videos of an index, of training and test.

    Args:
        path: the file to write, see `feature_file`.
        sources: the model file, index.tsv, and all shards of the modality's stream.
        chosen: which features.
        crop_size: side of a crop in frame pixels.
        threads: of the CPU.
        engine: what runs the network, see `TestConfig`.

    Raises:
        UserError: the model was trained on other shards, or memory is full.
    """
    model_file, index, shards = sources
    device = prepare(threads)
    network, info = load_model(model_file)
    store = ShardSet(shards)
    check_shards(model_file, info, store)
    videos = [video for video in read_index(index) if store.usable(video.id)]
    test = TestConfig(
        segments=1,
        crops=chosen.crops,
        crop_size=crop_size,
        snippet_sampling="segment_centres",
        protocol="dense",
        stride=chosen.stride,
    )
    # A rate of one frame a second makes seconds frames.
    about = test, info.input_size, [1.0] * len(videos), info.snippet_length
    snippets = TestSnippets(store, videos, info.modality, *about)
    network = cut_off(network, chosen.layer).to(memory_format=torch.channels_last).to(device)
    scorer = Scorer(network, device, engine)
    loader = make_loader(snippets, device, threads, batch_size=None)
    what = f"features {info.modality}"
    mirrored = mirrored_labels(info.swap, info.classes) if chosen.layer == "scores" else None
    items = score_videos(scorer, loader, snippets, device, mirrored)
    values = track(join_items(items, snippets.counts), len(videos), "videos", what)

    def features() -> Iterator[Features]:
        rates = frame_rates(videos)
        for number, (video, crops) in enumerate(zip(videos, values, strict=True)):
            yield Features(
                video.id,
                crops.mean(1).float().cpu().numpy(),
                snippets.starts(number),
                store.length(video.id) + store.extra_frames,
                rates[number],
            )

    described = describe(info, chosen) | {
        "dataset": info.dataset,
        "experiment": info.experiment,
        "split": info.split,
        "model": sha256_of(model_file),
        "shards": store.fingerprint,
    }
    with feature_file(path, described) as add:
        for video in features():
            add(video)


@contextmanager
def feature_file(path: Path | str, about: dict) -> Iterator[Callable[[Features], None]]:
    """Write features as HDF5, with the function that is given.

    A group a video, named by its id: the arrays `features` and `starts`, the attributes `fps`,
    `frames` and `stride`. Attributes of the file: `about` as JSON.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w", **WITH_CHECKSUMS) as file:
        file.attrs["about"] = np.bytes_(json.dumps(about, sort_keys=True))

        def add(video: Features) -> None:
            group = file.require_group(os.fsencode(video.id))  # "a/b" has made one of "a"
            group.create_dataset("features", data=video.values, fletcher32=True)
            group.create_dataset("starts", data=video.starts, fletcher32=True)
            group.attrs["fps"], group.attrs["frames"] = video.fps, video.frames
            group.attrs["stride"] = about["stride"]

        yield add
