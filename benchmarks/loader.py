"""The loader: alone, beside the model, and against folders of JPEGs.

Run it with: python benchmarks/loader.py VIDEO [VIDEO ...] [--size 112] [--seconds 20]

1. Training samples a second (a sample is a video's K snippets) of the loader alone, of the model
   alone on tensors that are ready, and of both together as a training runs them. On a CPU the
   loader and the model share its cores, so that "together" cannot reach the slower of the two: the
   last column says what is left of it.
2. Our shards against a folder of JPEGs per video, read and augmented as mmaction2's pipeline does
   it (RawFrameDecode, MultiScaleCrop, Resize, Flip): two JPEGs a flow field, quality 95, decoded
   with OpenCV. One process and one thread, alternately, ratio of medians of CPU time, which other
   work on the machine changes little; files are in the page cache on both sides.
3. CPU time of the parts of a sample: reading, cutting and resizing.

Everything is measured in one run on the clips given; their flow is computed first.
"""

import argparse
import tempfile
import time
from itertools import islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from tsn.config.schema import ModelConfig, TrainingConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.data.batches import MicroBatches
from tsn.data.dataset import TrainingSnippets
from tsn.data.loader import make_loader
from tsn.data.sampling import snippet_indices, train_starts
from tsn.data.transforms import cut, random_crop
from tsn.datasets.records import Video
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1
from tsn.shards.format import write_shard
from tsn.shards.jpeg import encode_jpeg
from tsn.shards.store import ShardSet
from tsn.training.device import prepare
from tsn.training.train import new_network
from tsn.video.decode import read_frames

SIZE = (340, 256)
SCALES = {"rgb": (1, 0.875, 0.75, 0.66), "flow": (1, 0.875, 0.75)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=40, help="of each clip (default: 40)")
    parser.add_argument("--size", type=int, default=112, help="the network's input (default: 112)")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20, help="per measurement (default: 20)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        videos = [store(path, n, root, options.frames) for n, path in enumerate(options.videos)]
        compare_with_jpegs(root, videos, options)
        measure_parts(root, videos, options)
        for modality in ("rgb", "flow"):
            measure_training(modality, root, videos, options)


def store(path: Path, number: int, root: Path, count: int) -> Video:
    """One shard a stream and a folder of JPEGs for a clip."""
    frames = np.stack(list(islice(read_frames(path, SIZE, "rgb"), count)))
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    flow = quantise(TVL1(TVL1Params(), "native")(np.stack(grey)))
    name = str(number)
    for stream, rows in (("rgb", [encode_jpeg(f, 95) for f in frames]), ("flow", [flow])):
        with write_shard(root / f"{stream}{number}.h5", stream, SIZE, {}, {}) as writer:
            writer.add(name, "c", rows)
    pictures = root / "jpeg" / name
    pictures.mkdir(parents=True)
    quality = [cv2.IMWRITE_JPEG_QUALITY, 95]
    for t, frame in enumerate(frames):
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(pictures / f"img_{t + 1:05d}.jpg"), bgr, quality)
    for t, (x, y) in enumerate(flow):
        cv2.imwrite(str(pictures / f"flow_x_{t + 1:05d}.jpg"), x, quality)
        cv2.imwrite(str(pictures / f"flow_y_{t + 1:05d}.jpg"), y, quality)
    return Video(name, str(path), "c", number % 2, {1: "train"})


def recipe(modality: str) -> TrainingConfig:
    values = {"segments": 3, "batch_size": 8, "micro_batch": 8, "epochs": 1}
    values |= {
        "lr_milestones": (),
        "lr": 0.001,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "dropout": 0.8,
    }
    values |= {
        "clip_gradient": 20,
        "partial_bn": True,
        "crop_scales": SCALES[modality],
        "flip": True,
    }
    values |= {"precision": "auto", "compile": False, "validation": 0, "keep": "last"}
    return TrainingConfig(**values)


def snippets_of(modality: str, root: Path, videos: list[Video], side: int) -> TrainingSnippets:
    shards = ShardSet(sorted(root.glob(f"{modality}*.h5")))
    return TrainingSnippets(shards, videos, modality, recipe(modality), side, 1)


class JpegFolders:
    """Training samples from folders of JPEGs, one step of mmaction2's pipeline after the other."""

    def __init__(self, modality: str, root: Path, videos: list[Video], side: int):
        self._flow, self._root, self._videos, self._side = modality == "flow", root, videos, side
        self._length = 5 if self._flow else 1
        pictures = "flow_x_*" if self._flow else "img_*"  # mmaction2 has the counts in a list
        self._counts = [len(list((root / "jpeg" / video.id).glob(pictures))) for video in videos]
        self._scales = SCALES[modality]

    def __getitem__(self, item: tuple[int, int]) -> tuple[np.ndarray, int]:
        epoch, number = item
        rng = np.random.default_rng([1, epoch, number])
        video = self._videos[number]
        folder = self._root / "jpeg" / video.id
        count = self._counts[number]
        starts = train_starts(count, self._length, 3, rng)
        rows = np.concatenate([snippet_indices(int(s), self._length, count) for s in starts])
        images = []
        for row in rows + 1:
            names = (
                [f"flow_{axis}_{row:05d}" for axis in "xy"] if self._flow else [f"img_{row:05d}"]
            )
            for name in names:
                data = np.frombuffer((folder / f"{name}.jpg").read_bytes(), np.uint8)
                flag = cv2.IMREAD_GRAYSCALE if self._flow else cv2.IMREAD_COLOR
                image = cv2.imdecode(data, flag)
                images.append(image if self._flow else cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
        crop = random_crop(SIZE, self._side, self._scales, True, rng)
        ys, xs = slice(crop.y, crop.y + crop.height), slice(crop.x, crop.x + crop.width)
        images = [cv2.resize(image[ys, xs], (self._side, self._side)) for image in images]
        if crop.flip:
            images = [np.ascontiguousarray(image[:, ::-1]) for image in images]
            if self._flow:
                images[::2] = [255 - image for image in images[::2]]
        stacked = np.stack(images)
        if self._flow:
            return stacked.reshape(3, 10, self._side, self._side), video.label
        return stacked.transpose(0, 3, 1, 2).copy(), video.label


def rate(items: list, get) -> float:
    start = time.process_time()
    for item in items:
        get(item)
    return len(items) / (time.process_time() - start)


def compare_with_jpegs(root: Path, videos: list[Video], options) -> None:
    print(f"one process, input {options.size} px, samples per second of CPU time, medians")
    print("modality | shards | folders of JPEGs | ratio")
    for modality in ("rgb", "flow"):
        ours = snippets_of(modality, root, videos, options.size)
        theirs = JpegFolders(modality, root, videos, options.size)
        items = [(epoch, n) for epoch in range(3) for n in range(len(videos))]
        rates = {"ours": [], "theirs": []}
        end = time.monotonic() + options.seconds
        while time.monotonic() < end or len(rates["ours"]) < 3:
            rates["ours"].append(rate(items, ours.__getitem__))
            rates["theirs"].append(rate(items, theirs.__getitem__))
        one, other = median(rates["ours"]), median(rates["theirs"])
        print(f"{modality:8} | {one:6.1f} | {other:16.1f} | {one / other:.2f}")


def measure_parts(root: Path, videos: list[Video], options) -> None:
    print("\nmilliseconds of CPU time of a sample, medians")
    print("modality | rows | read | cut and resize | all")
    for modality in ("rgb", "flow"):
        data = snippets_of(modality, root, videos, options.size)
        length = 5 if modality == "flow" else 1
        seconds = {"read": [], "cut": [], "all": []}
        for epoch in range(20):
            rng = np.random.default_rng(epoch)
            for number in range(len(videos)):
                starts = train_starts(options.frames - 1, length, 3, rng)
                start = time.process_time()
                images = [
                    data._read(number, rows) for rows in data._snippet_indices(number, starts)
                ]
                middle = time.process_time()
                crop = random_crop(SIZE, options.size, SCALES[modality], True, rng)
                for snippet in images:
                    cut(snippet, crop, options.size)
                end = time.process_time()
                data[epoch, number]
                seconds["read"].append(middle - start)
                seconds["cut"].append(end - middle)
                seconds["all"].append(time.process_time() - end)
        read, crop, all_ = (1000 * median(seconds[key]) for key in ("read", "cut", "all"))
        print(f"{modality:8} | {3 * length:4} | {read:4.1f} | {crop:14.1f} | {all_:.1f}")


def measure_training(modality: str, root: Path, videos: list[Video], options) -> None:
    device = prepare(options.threads)
    model = ModelConfig(options.backbone, "imagenet", None, True, "average", options.size)
    network = new_network(2, modality, model, recipe(modality)).to(
        device, memory_format=torch.channels_last
    )
    network.train()
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=1e-4)
    data = snippets_of(modality, root, videos, options.size)

    def loader():
        batches = MicroBatches(len(videos), 8, 8, 1, range(10**6))
        return iter(make_loader(data, device, options.threads, batch_sampler=batches))

    def step(clips: torch.Tensor, labels: torch.Tensor) -> None:
        optimiser.zero_grad()
        scores = network(clips.to(device, non_blocking=True))
        torch.nn.functional.cross_entropy(scores, labels.to(device)).backward()
        optimiser.step()

    ready = next(loader())
    samples, alone = loader(), loader()
    uses = {
        "loader": lambda: next(alone)[0],
        "model": lambda: (step(*ready), ready[0])[1],
        "together": lambda: (step(*(batch := next(samples))), batch[0])[1],
    }
    rates = {name: [] for name in uses}
    end = time.monotonic() + options.seconds
    while time.monotonic() < end or len(rates["model"]) < 5:
        for name, use in uses.items():  # alternately, so that other load touches all alike
            for _ in range(2):  # past what was read ahead
                use()
            start = time.perf_counter()
            count = sum(len(use()) for _ in range(8))
            if device.type == "cuda":
                torch.cuda.synchronize()
            rates[name].append(count / (time.perf_counter() - start))
    found = {name: median(values) for name, values in rates.items()}
    slower = min(found["loader"], found["model"])
    print(
        f"\n{modality}, {options.backbone} at {options.size} px on {device}, "
        f"{options.threads} threads, samples/s: loader {found['loader']:.1f}, model "
        f"{found['model']:.2f}, together {found['together']:.2f}: "
        f"{100 * found['together'] / slower:.0f} % of the slower"
    )


if __name__ == "__main__":
    main()
