"""Native TV-L1 against cv2.optflow on the CPU: time per pair, scaling over threads, agreement.

Run it with: python benchmarks/tvl1_cpu.py VIDEO [VIDEO ...] [--middlebury FOLDER]

Everything that is compared runs alternately in one process, and ratios are ratios of medians, so
that other load on the machine touches both sides alike.
"""

import argparse
import time
from itertools import islice
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1
from tsn.video.decode import read_frames

SIZE = (340, 256)
MEDIAN_FILTERS = (1, 5)
OPERATIONS = {"add": 28, "multiply": 23, "min, max": 2, "square root": 2, "divide": 2}
ACCESSES = {"read": 25, "write": 7}
"""Of a pixel in an iteration, counted in `tsn.flow.cpu.solver`, without the illumination term."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to take pairs from")
    parser.add_argument("--pairs", type=int, default=2, help="pairs per clip (default: 2)")
    parser.add_argument("--repeats", type=int, default=3, help="timings per pair (default: 3)")
    parser.add_argument("--threads", type=int, default=2, help="threads to scale to (default: 2)")
    parser.add_argument("--middlebury", type=Path, help="folder of scenes with flow10.flo")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clips = [read_clip(path, options.pairs + 1) for path in options.videos]
    compare_engines(clips, options.repeats)
    measure_solver(clips[0], options.repeats)
    measure_scaling(clips, options.threads, options.repeats)
    if options.middlebury:
        measure_errors(options.middlebury)


def read_clip(path: Path, count: int) -> np.ndarray:
    """Return the first `count` frames, grey, uint8 (count, 256, 340)."""
    return np.stack(list(islice(read_frames(path, SIZE, "grey"), count)))


def compare_engines(clips: list[np.ndarray], repeats: int) -> None:
    print("one thread, 340 x 256, medians over pairs and repeats")
    print(
        "median filter |  cv2 ms | native ms | ratio | mean EPD px |  max | within 1 byte | worst |"
        " cv2 against itself: mean EPD px"
    )
    for window in MEDIAN_FILTERS:
        params = TVL1Params(median_filter=window)
        native, opencv = TVL1(params, "native_cpu"), TVL1(params, "opencv")
        native(clips[0][:2])  # compiles
        seconds = {native: [], opencv: []}
        apart, same, itself = [], [], []
        for clip in clips:
            for t in range(len(clip) - 1):
                flows = {}
                for _ in range(repeats):
                    for tvl1, times in seconds.items():
                        begin = time.perf_counter()
                        flows[tvl1] = tvl1(clip[t : t + 2])
                        times.append(time.perf_counter() - begin)
                apart.append(end_point_error(flows[native], flows[opencv]))
                # OpenCV's plain code rounds otherwise than its vectors do: how far that carries.
                cv2.setUseOptimized(False)
                itself.append(end_point_error(opencv(clip[t : t + 2]), flows[opencv]))
                cv2.setUseOptimized(True)
                steps = quantise(flows[native]).astype(int) - quantise(flows[opencv])
                same.append((abs(steps) <= 1).mean())
        ours, theirs = (1e3 * median(seconds[tvl1]) for tvl1 in (native, opencv))
        per_clip = np.reshape(same, (len(clips), -1)).mean(axis=1)
        print(
            f"{window:13} | {theirs:7.0f} | {ours:9.1f} | {theirs / ours:5.1f} |"
            f" {np.mean(apart):11.4f} | {np.max(apart):4.1f} | {np.mean(same):13.2%} |"
            f" {per_clip.min():.2%} | {np.mean(itself):.4f}"
        )


def measure_solver(clip: np.ndarray, repeats: int) -> None:
    """Processor time of an iteration at full size, to compare with what the processor can do."""
    seconds = {}
    for iterations in (60, 240):
        params = TVL1Params(pyramid_levels=1, warps=1, epsilon=0.0, iterations=iterations)
        tvl1, times = TVL1(params, "native_cpu"), []
        for _ in range(repeats + 1):
            begin = time.thread_time()
            tvl1(clip[:2])
            times.append(time.thread_time() - begin)
        seconds[iterations] = median(times[1:])
    each = (seconds[240] - seconds[60]) / 180 / clip[0].size
    print(
        f"\nsolver: {1e9 * each:.2f} ns for a pixel in an iteration: "
        f"{sum(OPERATIONS.values()) / each / 1e9:.0f} Gflop/s, "
        f"{4 * sum(ACCESSES.values()) / each / 1e9:.0f} GB/s from and to the L1 cache"
    )
    for kind, count in (OPERATIONS | ACCESSES).items():
        print(f"  {kind:12} {count:3}, {each / count * 8e9:6.2f} ns for each vector of 8")


def measure_scaling(clips: list[np.ndarray], threads: int, repeats: int) -> None:
    pairs = 16
    frames = np.stack([clips[0][t % 2] for t in range(pairs + 1)])
    engines = {count: TVL1(backend="native_cpu", threads=count) for count in (1, threads)}
    seconds = {count: [] for count in engines}
    for _ in range(repeats + 1):
        for count, tvl1 in engines.items():
            begin = time.perf_counter()
            tvl1(frames)
            seconds[count].append(time.perf_counter() - begin)
    one, several = (median(seconds[count][1:]) for count in (1, threads))
    print(f"\n{threads} threads on {pairs} pairs: {one / several:.2f} times one thread")


def measure_errors(folder: Path) -> None:
    print("\nmean end-point error, px  | median filter | native |    cv2")
    for scene in sorted(path for path in folder.iterdir() if (path / "flow10.flo").is_file()):
        frames = np.stack([cv2.imread(str(scene / f"frame1{k}.png"), 0) for k in (0, 1)])
        truth = read_flo(scene / "flow10.flo")
        for window in MEDIAN_FILTERS:
            params = TVL1Params(median_filter=window)
            native, opencv = (
                end_point_error(TVL1(params, backend)(frames)[0], truth).mean()
                for backend in ("native_cpu", "opencv")
            )
            print(f"{scene.name:25} | {window:13} | {native:6.4f} | {opencv:6.4f}")


def end_point_error(flow: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return the end-point differences (...) of flows (..., 2, H, W), where known."""
    apart = flow - reference
    length = np.hypot(apart[..., 0, :, :], apart[..., 1, :, :])
    # Middlebury marks unknown motion by values above 1e9.
    return length[(np.abs(reference) < 1e9).all(axis=-3)]


def read_flo(path: Path) -> np.ndarray:
    """Return the flow (2, H, W) of a Middlebury .flo file."""
    data = path.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).transpose(2, 0, 1)


if __name__ == "__main__":
    main()
