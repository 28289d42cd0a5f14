"""Training and testing on a GPU: images a second, and how long the GPU waits for data.

Run it on a machine with a GPU: python benchmarks/training_gpu.py [--compile] [--workers 16]

It makes shards of noise (as slow to read as any: noise hardly compresses), and measures for RGB and
flow, in one run:

- training: optimiser steps of `--batch` videos x 3 segments at 224 px in micro-batches of 16, which
  share passes as they do in a run; bf16 where the GPU has it, channels_last, through the project's
  own loader and step; images/s, the fraction of the time in which the training waits for the
  loader, and the same with batches that are ready on the GPU;
- test: 25 snippets x 10 crops through `score_videos`; videos/s.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import numpy as np
import torch

from tsn.config.schema import ModelConfig, TestConfig, TrainingConfig
from tsn.data.dataset import CentreSnippets, TestSnippets, TrainingSnippets
from tsn.data.loader import make_loader
from tsn.datasets.records import Video
from tsn.evaluation.engine import Scorer
from tsn.evaluation.protocol import score_videos
from tsn.models.parameter_groups import parameter_groups
from tsn.shards.chunks import compress_fields
from tsn.shards.format import write_shard
from tsn.shards.jpeg import encode_jpeg
from tsn.shards.store import ShardSet
from tsn.training import fit
from tsn.training.device import autocast, gradient_scaler, prepare
from tsn.training.distributed import ProcessGroup
from tsn.training.job import TrainingJob
from tsn.training.state import State
from tsn.training.train import new_network

SIZE = (340, 256)
SIDE = 224
SCALES = {"rgb": (1, 0.875, 0.75, 0.66), "flow": (1, 0.875, 0.75)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0", "bn_inception"])
    parser.add_argument("--modalities", nargs="+", default=["rgb", "flow"], choices=list(SCALES))
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20, help="measured, after 5 to warm up")
    parser.add_argument("--videos", type=int, default=256)
    parser.add_argument("--compile", action="store_true")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no GPU here; this measures one")
    with tempfile.TemporaryDirectory() as folder:
        device = prepare(options.workers)
        gpu = torch.cuda.get_device_name()
        print(f"{gpu}, torch {torch.__version__}, {options.workers} workers")
        print("backbone | input | images/s | waiting | images/s, data ready | test videos/s")
        for modality in options.modalities:
            shard, videos = make_shard(Path(folder) / f"{modality}.h5", modality, options.videos)
            for backbone in options.backbones:
                measure(backbone, modality, shard, videos, options, device)


def make_shard(path: Path, stream: str, count: int) -> tuple[Path, list[Video]]:
    """Videos of 30 rows of smooth noise; all are the same rows, at other places of the file."""
    rng = np.random.default_rng(1)
    noise = rng.integers(96, 160, (30, 256, 340, 3 if stream == "rgb" else 2), dtype=np.uint8)
    rows = (
        [encode_jpeg(frame, 95) for frame in noise]
        if stream == "rgb"
        else [compress_fields(noise.transpose(0, 3, 1, 2))]
    )
    with write_shard(path, stream, SIZE, {}, {}) as writer:
        for number in range(count):
            writer.add(str(number), "c", rows)
    return path, [Video(str(n), "", "c", n % 101, {1: "train"}) for n in range(count)]


def measure(backbone, modality, shard, videos, options, device) -> None:
    recipe = TrainingConfig(
        segments=3,
        batch_size=options.batch,
        micro_batch=options.micro_batch,
        iterations=options.steps + 5,
        lr_milestones=(),
        lr=1e-4,
        momentum=0.9,
        weight_decay=5e-4,
        clip_gradient=20,
        dropout=0.8,
        partial_bn=True,
        crop_scales=SCALES[modality],
        flip=True,
        precision="auto",
        compile=options.compile,
        validation=0,
        keep="last",
    )
    # Only these weights come with a package; without any, partial BN is off.
    weights = "imagenet" if backbone == "efficientnet_lite0" else "none"
    model = ModelConfig(backbone, weights, None, True, "average", SIDE)
    network = new_network(101, modality, model, recipe)
    network = network.to(device, memory_format=torch.channels_last)
    store = ShardSet([shard])
    data = TrainingSnippets(store, videos, modality, recipe, SIDE, 1)
    nothing = CentreSnippets(store, [], modality, 3, SIDE)
    job = TrainingJob("noise", "benchmark", 1, modality, 1, model, recipe)
    setup = fit.Setup(job, data, nothing, device, options.workers, ProcessGroup())
    groups = parameter_groups(network, modality, recipe.lr, recipe.weight_decay)
    optimiser = torch.optim.SGD(groups, momentum=recipe.momentum)
    state = State(network, optimiser, gradient_scaler(device, recipe.precision))
    with timed_steps() as times, tempfile.TemporaryDirectory() as folder:
        fit.fit(setup, state, Path(folder) / "state.pt", Path(folder) / "log.csv")
    seconds, waiting = np.array(times[5:]).T
    images = 3 * options.batch
    ready = steps_on_ready_data(network, data, device, options)
    tested = test_rate(network, store, videos[:64], modality, device, options.workers)
    print(
        f"{backbone} | {modality} | {images / median(seconds):.0f} | "
        f"{100 * waiting.sum() / seconds.sum():.1f} % | {images / ready:.0f} | {tested:.1f}"
    )


@contextmanager
def timed_steps() -> Iterator[list[tuple[float, float]]]:
    """Seconds that every training step takes, and those of them that it waits for data."""
    times: list[tuple[float, float]] = []

    def timed(setup, state, *rest) -> None:
        before, start = state.epoch.waiting, time.perf_counter()
        step(setup, state, *rest)
        torch.cuda.synchronize()
        times.append((time.perf_counter() - start, state.epoch.waiting - before))

    step, fit.training_step = fit.training_step, timed
    try:
        yield times
    finally:
        fit.training_step = step


def steps_on_ready_data(network, data, device, options) -> float:
    """Median seconds of forward and backward over a batch that lies on the GPU."""
    clips = torch.stack([data[0, n][0] for n in range(options.batch)]).to(device)
    labels = torch.zeros(options.batch, dtype=torch.long, device=device)
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 1e-4, 0.9)
    network.train()
    times = []
    for _ in range(options.steps + 5):
        torch.cuda.synchronize()
        start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        with autocast(device, "auto"):
            scores = network(clips)
        torch.nn.functional.cross_entropy(scores.float(), labels).backward()
        optimiser.step()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return median(times[5:])


def test_rate(network, store, videos, modality, device, workers) -> float:
    protocol = TestConfig(25, 10, 224, "segment_centres")
    snippets = TestSnippets(store, videos, modality, protocol, SIDE)
    network.eval()
    loader = make_loader(snippets, device, workers, batch_size=None)
    scored = score_videos(Scorer(network, device), loader, snippets, device)
    for _ in range(8):  # warm up
        next(scored)
    torch.cuda.synchronize()
    start = time.perf_counter()
    count = sum(1 for _ in scored)
    torch.cuda.synchronize()
    return count / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
