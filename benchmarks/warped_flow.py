"""What warped flow costs beside plain flow, and what it does where the camera stands still.

Run it with: OMP_NUM_THREADS=1 python benchmarks/warped_flow.py VIDEO [VIDEO ...]

Times are processor times of one thread at 340 x 256, plain and warped flow in turns, and ratios are
ratios of medians, so that other load on the machine touches both alike.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from tsn.flow.camera import warp_to_previous
from tsn.flow.features import detect_features, match_features, move_corners
from tsn.flow.homography import find_homography
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.video.decode import read_frames

SIZE = (340, 256)
QUIET = 0.6
"""A camera counts as still between two frames if at least this fraction of the textured pixels
changes by one grey level at most."""

TEXTURE = 15
"""Grey levels per px from which a pixel is textured: it shows a motion of .1 px."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to take pairs from")
    parser.add_argument("--pairs", type=int, default=3, help="pairs per clip (default: 3)")
    parser.add_argument("--first", type=int, default=8, help="first frame (default: 8)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    tvl1 = TVL1(backend="native_cpu")
    warped_flow = WarpedFlow(tvl1)
    stop = options.first + options.pairs + 1
    warm_up(tvl1, warped_flow)
    rows, parts = [], defaultdict(list)
    for path in options.videos:
        frames = np.stack(list(islice(read_frames(path, SIZE, "grey"), options.first, stop)))
        for pair in pairwise(frames):
            rows.append(measure(tvl1, warped_flow, np.stack(pair), parts))
    show(rows, parts)


def warm_up(tvl1: TVL1, warped_flow: WarpedFlow) -> None:
    """Have everything compiled."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 80), np.uint8)
    frames = np.stack([cv2.resize(np.roll(noise, k, 1), SIZE) for k in (0, 2)])
    warped_flow(frames, tvl1(frames))


def timed(times: list[float], work: Callable, *arguments):
    begin = time.thread_time()
    result = work(*arguments)
    times.append(1e3 * (time.thread_time() - begin))
    return result


def measure(
    tvl1: TVL1, warped_flow: WarpedFlow, frames: np.ndarray, parts: dict[str, list]
) -> tuple:
    """Return, of a pair: quiet fraction, whether it moved, bytes that differ, both times in ms."""
    spent = []
    flow = dequantise(quantise(timed(spent, tvl1, frames)))
    warped, (camera,) = timed(spent, warped_flow.with_camera_motion, frames, flow)
    first = timed(parts["corners of a frame"], detect_features, frames[0])
    second = detect_features(frames[1])
    matches = timed(parts["matches"], match_features, first, second)
    moved = timed(parts["corners moved by the flow"], move_corners, first, second, flow[0])
    source, target = (np.concatenate(points) for points in zip(matches, moved, strict=True))
    if len(source) > 50:
        homography = timed(parts["homography"], find_homography, source, target)
        stabilised = timed(parts["warp"], warp_to_previous, *frames, homography)
        timed(parts["second TV-L1"], tvl1.pairs, frames[:1], stabilised[None])
    differ = (quantise(warped) != quantise(flow)).mean()
    return quiet_fraction(*frames), camera.accepted, differ, *spent


def quiet_fraction(prev: np.ndarray, cur: np.ndarray) -> float:
    slopes = (cv2.Sobel(prev, cv2.CV_32F, *axes) / 8 for axes in ((1, 0), (0, 1)))
    textured = np.hypot(*slopes) > TEXTURE
    change = np.abs(prev.astype(int) - cur)[textured]
    return float((change <= 1).mean()) if change.size else 1.0


def show(rows: list[tuple], parts: dict[str, list]) -> None:
    quiet, moved, differ, plain, warped = np.array(rows, float).T
    still = quiet >= QUIET
    print(f"{len(rows)} pairs, the camera still in {still.sum()} (quiet fraction {QUIET} or more)")
    print(f"still: warped flow is plain flow, byte for byte, in {(differ[still] == 0).mean():.1%}")
    for t in np.flatnonzero(still & (differ > 0)):
        print(f"  pair {t}: quiet fraction {quiet[t]:.2f}, {differ[t]:.1%} of the bytes differ")
    print(f"others: a camera motion was found in {moved[~still].mean():.1%}\n")
    print("processor time per pair, ms (medians)")
    print(f"{'plain flow (TV-L1)':30} {median(plain):6.1f}")
    for name, times in parts.items():
        print(f"  {name:28} {median(times):6.1f}")
    # Each frame's corners are found once for a clip, twice for a lone pair.
    again = median(parts["corners of a frame"])
    for name, chosen in {"moved": moved == 1, "all": moved >= 0}.items():
        stage = median(warped[chosen]) - again
        ratio = stage / median(plain[chosen])
        print(f"warped flow, {name:17} {stage:6.1f}: {ratio:.2f} times plain flow")
    mean = (warped.mean() - again) / plain.mean()
    print(f"over all pairs, means: {mean:.2f} times; both streams {1 + mean:.2f} times plain flow")


if __name__ == "__main__":
    main()
