"""Native TV-L1 on a GPU: pairs per second by batch, beside OpenCV's CUDA engine and the CPU's flow.

Run it with: python benchmarks/tvl1_gpu.py VIDEO [VIDEO ...]

OpenCV's engine takes part if the installed cv2 has CUDA (`make opencv-cuda` builds one). Engines
alternate in one process; times are medians and include the way to the GPU and back. The second
part runs a fixed number of iterations, so that the work is known, and tells what bounds the engine.
"""

import argparse
import time
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.pyramid import level_sizes
from tsn.flow.cuda.cuda_engine import CudaEngine
from tsn.flow.cuda.source import STEPS, TILE
from tsn.flow.opencv_cuda import why_unavailable
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1
from tsn.video.decode import read_frames

SIZE = (340, 256)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

INSTRUCTIONS = 59
"""Of `iterate` per pixel and iteration, counted in its machine code for compute capability 9.0."""

TILE_PIXELS = 64 * 64
BYTES_IN, BYTES_OUT = 9 * 4, 6 * 4
"""Read per pixel of a tile and written per pixel that it is useful for, per launch of `iterate`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to take pairs from")
    parser.add_argument("--repeats", type=int, default=5, help="timings per batch (default: 5)")
    options = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}\n")
    frames = collect(options.videos, max(BATCHES) + 1)
    measure_batches(frames, options.repeats)
    measure_bounds(frames, options.repeats)
    compare_with_cpu(options.videos)


def collect(videos: list[Path], count: int) -> np.ndarray:
    """Return frames of all clips, grey, uint8 (count, 256, 340); clips follow each other."""
    each = max(2, -(-count // len(videos)))
    clips = [list(islice(read_frames(path, SIZE, "grey"), each)) for path in videos]
    return np.stack(list(islice(cycle([frame for clip in clips for frame in clip]), count)))


def measure_batches(frames: np.ndarray, repeats: int) -> None:
    reason = why_unavailable()
    print("pairs/s, 340 x 256" + (f" (no opencv_cuda: {reason})" if reason else ""))
    print("batch |  native | to bytes | opencv_cuda | ratio")
    opencv = None if reason else TVL1(backend="opencv_cuda", threads=16)
    for batch in BATCHES:
        engine, clip = CudaEngine(TVL1Params()), frames[: batch + 1]
        calls = [partial(engine.sequence, clip), partial(engine.quantised, clip, 20.0)]
        calls += [partial(opencv, clip)] if opencv else []
        rates = [batch / seconds for seconds in alternate(calls, repeats)]
        cells = [f"{rate:8.0f}" for rate in rates] + ["       –"] * (3 - len(rates))
        ratio = f"{rates[0] / rates[2]:5.1f}" if opencv else "–"
        print(f"{batch:5} |{cells[0]} | {cells[1]} |    {cells[2]} | {ratio}")


def measure_bounds(frames: np.ndarray, repeats: int) -> None:
    params = TVL1Params(epsilon=0.0, iterations=60)
    pairs = 128
    clip = torch.from_numpy(frames[: pairs + 1]).cuda()
    engine = CudaEngine(params)

    def run() -> None:
        engine.sequence(clip)
        torch.cuda.synchronize()

    (seconds,) = alternate([run], repeats)
    sizes = level_sizes(*frames.shape[1:], params.pyramid_levels, params.scale_step)
    tiles = sum(-(-w // TILE[0]) * -(-h // TILE[1][2]) for h, w in sizes)
    launches = params.warps * params.iterations // STEPS * pairs
    pixels = launches * STEPS * sum(h * w for h, w in sizes)
    worked = launches * STEPS * tiles * TILE_PIXELS
    moved = launches * (tiles * TILE_PIXELS * BYTES_IN + sum(h * w for h, w in sizes) * BYTES_OUT)
    device = torch.cuda.get_device_properties(0)
    peak = device.multi_processor_count * 128 * getattr(device, "clock_rate", 0) * 1e3
    print(f"\n{pairs} pairs, {params.iterations} iterations of each warp, whatever happens")
    print(f"pixel iterations: {pixels / seconds / 1e9:.0f} G/s")
    print(
        f"instructions: {worked * INSTRUCTIONS / seconds / 1e12:.1f} T/s of {peak / 1e12:.1f} "
        f"(128 lanes of {device.multi_processor_count} multiprocessors), "
        f"{worked * INSTRUCTIONS / seconds / peak:.0%}; {pixels / worked:.0%} of them for pixels "
        "that are kept"
    )
    print(f"memory traffic of the iterations: {moved / seconds / 1e12:.2f} TB/s, L2 included")


def compare_with_cpu(videos: list[Path]) -> None:
    print("\nGPU against CPU: mean end-point difference px | max | bytes within 1")
    for path in videos[:8]:
        clip = np.stack(list(islice(read_frames(path, SIZE, "grey"), 9)))
        for params in (TVL1Params(), TVL1Params(median_filter=5)):
            gpu, cpu = CudaEngine(params).sequence(clip), TVL1(params, "native_cpu", 8)(clip)
            apart = np.hypot(*np.moveaxis(gpu - cpu, 1, 0))
            near = abs(quantise(gpu).astype(int) - quantise(cpu)) <= 1
            print(
                f"{path.stem:30} median {params.median_filter}: {apart.mean():.6f} | "
                f"{apart.max():.3f} | {near.mean():.4%}"
            )


def alternate(calls: list, repeats: int) -> list[float]:
    """Return the median seconds of each call; the first round is not counted."""
    seconds = [[] for _ in calls]
    for _ in range(repeats + 1):
        for call, times in zip(calls, seconds, strict=True):
            begin = time.perf_counter()
            call()
            times.append(time.perf_counter() - begin)
    return [median(times[1:]) for times in seconds]


if __name__ == "__main__":
    main()
