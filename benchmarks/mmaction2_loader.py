"""Our loader against mmaction2's: training samples from shards, and from folders of JPEGs.

In the environment that benchmarks/mmaction2.py describes:

    mmaction2-env/bin/python -m benchmarks.mmaction2_loader VIDEO [VIDEO ...] [--frames 120]

A sample is three snippets at 224 px. Theirs is made by the training pipeline that mmaction2
publishes for TSN (SampleFrames, RawFrameDecode, Resize, a crop, Resize, Flip, FormatShape,
PackActionInputs) from JPEGs of quality 95, one a frame and two a flow field; its crop is
replaced by MultiScaleCrop, which is TSN's and ours. One process, one thread, alternately; ratio of
medians.

warm: everything is in the page cache. CPU time, which other work on the machine changes little.
cold: nothing is, as in a data set that is larger than the memory. Wall time, on this disk.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import torch

from benchmarks.loader import SIZE, recipe, store
from benchmarks.mmaction2 import TRANSFORMS, published, register_all_modules
from tsn.data.dataset import TrainingSnippets
from tsn.datasets.records import Video
from tsn.shards.store import ShardSet

SIDE = 224


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=120, help="of each clip (default: 120)")
    parser.add_argument("--seconds", type=float, default=20, help="per row (default: 20)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: a temporary)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    register_all_modules()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        root = Path(folder)
        videos = [store(path, n, root, options.frames) for n, path in enumerate(options.videos)]
        files = [path for path in root.rglob("*") if path.is_file()]
        os.sync()
        print(f"samples per second, three snippets of {SIZE[0]}x{SIZE[1]} cut to {SIDE} px")
        print("modality | page cache | shards | mmaction2, JPEGs | ratio")
        for modality in ("rgb", "flow"):
            readers = ours(modality, root, videos), theirs(modality, root, videos)
            for cache, forget in (("warm", []), ("cold", files)):
                one, other = rates(readers, len(videos), forget, options.seconds)
                print(f"{modality:8} | {cache:10} | {one:6.1f} | {other:16.1f} | {one / other:.2f}")


def ours(modality: str, root: Path, videos: list[Video]) -> Callable:
    shards = ShardSet(sorted(root.glob(f"{modality}*.h5")))
    snippets = TrainingSnippets(shards, videos, modality, recipe(modality), SIDE, 1)
    return lambda epoch, number: snippets[epoch, number]


def theirs(modality: str, root: Path, videos: list[Video]) -> Callable:
    flow = modality == "flow"
    crop = {"type": "MultiScaleCrop", "input_size": SIDE, "scales": recipe(modality).crop_scales}
    crop |= {"random_crop": False, "max_wh_scale_gap": 1, "num_fixed_crops": 13}
    changed = {"RandomResizedCrop": crop}
    if not flow:  # the published one for RGB decodes videos
        changed["SampleFrames"] = {"type": "SampleFrames", "clip_len": 1, "num_clips": 3}
    steps = [changed.get(step["type"], step) for step in published("flow").train_pipeline]
    transforms = [TRANSFORMS.build(step) for step in steps]
    template = "flow_{}_{:05d}.jpg" if flow else "img_{:05d}.jpg"
    folders = [root / "jpeg" / video.id for video in videos]
    counts = [len(list(f.glob("flow_x_*" if flow else "img_*"))) for f in folders]

    def read(_: int, number: int) -> dict:
        results = {
            "frame_dir": str(folders[number]),
            "total_frames": counts[number],
            "filename_tmpl": template,
            "modality": "Flow" if flow else "RGB",
            "start_index": 1,
            "offset": 0,
            "label": videos[number].label,
        }
        for transform in transforms:
            results = transform(results)
        return results

    return read


def rates(
    readers: tuple[Callable, ...], videos: int, forget: list[Path], seconds: float
) -> list[float]:
    """Samples per second of each reader."""
    clock = time.monotonic if forget else time.process_time
    times = [[] for _ in readers]
    end, epoch = time.monotonic() + seconds, 0
    while time.monotonic() < end or epoch < 3:
        for read, found in zip(readers, times, strict=True):
            for path in forget:
                _forget(path)
            start = clock()
            for number in range(videos):
                read(epoch, number)
            found.append((clock() - start) / videos)
        epoch += 1
    return [1 / median(found) for found in times]


def _forget(path: Path) -> None:
    """Drop a file's pages from the page cache."""
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(file)


if __name__ == "__main__":
    main()
