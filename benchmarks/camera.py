"""Camera motion that is known against camera motion that is found, on frames of real clips.

Run it with: OMP_NUM_THREADS=1 python benchmarks/camera.py VIDEO [VIDEO ...]

The pairs of frames are those of `moved_clips`. TV-L1 flow, quantised and dequantised as in the
pipeline, and features give the pairs of points; then the error of a homography is the distance by
which it misses the corner of the frame that it misses most.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from moved_clips import HEIGHT, KINDS, WIDTH, Scene, make_scenes, read_frame

from tsn.flow.camera import estimate_homography, warp_to_previous
from tsn.flow.features import MATCH_WINDOW, detect_features, match_features, move_corners
from tsn.flow.homography import CONFIDENCE, MAX_ITERATIONS, find_homography, refine
from tsn.flow.tvl1 import TVL1

FAILED = 1.0
"""A homography that misses a corner by more px counts as a failure."""

Pairs = tuple[np.ndarray, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to take a frame from")
    parser.add_argument("--frame", type=int, default=8, help="which frame (default: 8)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    stills = [read_frame(path, options.frame) for path in options.videos]
    tvl1 = TVL1(backend="native_cpu")
    scenes = make_scenes(stills, tvl1)
    print(f"{len(scenes)} pairs: each of {len(stills)} clips under each kind of motion")
    print("median error at the worst corner in px, fraction of failures (more than 1 px)\n")
    compare_detectors(scenes)
    compare_estimators(scenes)
    compare_flows(scenes)
    measure_residuals(scenes, tvl1)


def compare_detectors(scenes: list[Scene]) -> None:
    # OpenCV 5 keeps AKAZE with the contributed modules.
    akaze = getattr(cv2, "AKAZE_create", None) or cv2.xfeatures2d.AKAZE_create
    table = Table("features", with_pairs=True)
    for name, match in {
        "corners (ours)": lambda a, b: match_features(detect_features(a), detect_features(b)),
        "SIFT": in_opencv(cv2.SIFT_create(1000), cv2.NORM_L2),
        "ORB": in_opencv(cv2.ORB_create(1000), cv2.NORM_HAMMING),
        "AKAZE": in_opencv(akaze(), cv2.NORM_HAMMING),
        "none": lambda a, b: (np.empty((0, 2), np.float32),) * 2,
    }.items():
        match(scenes[0].prev, scenes[0].cur)  # compiles
        for scene in scenes:
            begin = time.thread_time()
            matches = match(scene.prev, scene.cur)
            spent = time.thread_time() - begin
            found = estimate(find_homography, matches, by_flow(scene, scene.stored))
            table.add(name, scene, found, spent, matches)
    table.show()


def compare_estimators(scenes: list[Scene]) -> None:
    def opencv(method, distance, **options):
        return lambda a, b: cv2.findHomography(a, b, method, distance, **options)[0]

    def ransac_and_fit(a, b):
        found = opencv(cv2.RANSAC, 0.5, **many)(a, b)
        return None if found is None else refine(found, np.float64(a), np.float64(b))

    many = {"maxIters": MAX_ITERATIONS, "confidence": CONFIDENCE}
    table = Table("estimator, on the same pairs")
    for name, estimator in {
        "USAC fast .5 px + fit (ours)": find_homography,
        "USAC fast .5 px": opencv(cv2.USAC_FAST, 0.5, **many),
        "RANSAC .5 px + fit": ransac_and_fit,
        "RANSAC .5 px": opencv(cv2.RANSAC, 0.5, **many),
        "RANSAC 1 px (dense_flow)": opencv(cv2.RANSAC, 1.0),
        "LMedS": opencv(cv2.LMEDS, 0),
        "USAC default 1 px": opencv(cv2.USAC_DEFAULT, 1.0),
        "USAC fast 1 px": opencv(cv2.USAC_FAST, 1.0),
        "USAC accurate 1 px": opencv(cv2.USAC_ACCURATE, 1.0),
        "USAC PROSAC 1 px": opencv(cv2.USAC_PROSAC, 1.0),
        "USAC MAGSAC 1 px": opencv(cv2.USAC_MAGSAC, 1.0),
    }.items():
        for scene in scenes:
            matches, moved = by_features(scene), by_flow(scene, scene.stored)
            begin = time.thread_time()
            found = estimate(estimator, matches, moved)
            table.add(name, scene, found, time.thread_time() - begin)
    table.show()


def compare_flows(scenes: list[Scene]) -> None:
    table = Table("flow that moves the corners")
    for scene in scenes:
        matches = by_features(scene)
        clipped = (np.abs(scene.flow) >= 20).any(axis=0)
        x, y = detect_features(scene.prev).points.T
        for name, moved in {
            "float32": by_flow(scene, scene.flow),
            "quantised, bound 20 px": by_flow(scene, scene.stored),
            "quantised, unchecked": all_corners(scene, np.ones_like(clipped[y, x])),
            "unchecked, none clipped": all_corners(scene, ~clipped[y, x]),
        }.items():
            table.add(name, scene, estimate(find_homography, matches, moved))
    table.show()


def measure_residuals(scenes: list[Scene], tvl1: TVL1) -> None:
    print("background flow in px, median within each pair, then over the pairs")
    print(f"{'':16}|   plain |  warped | by the true homography | pairs under .1 px")
    for kind in KINDS:
        rows = []
        for scene in (s for s in scenes if s.kind == kind and s.background.sum() > 1000):
            found = estimate_homography(scene.prev, scene.cur, scene.stored).homography
            lengths = [np.hypot(*scene.flow)]
            for homography in (found, scene.homography):
                stabilised = warp_to_previous(scene.prev, scene.cur, homography)
                lengths.append(np.hypot(*tvl1.pairs(scene.prev[None], stabilised[None])[0]))
            rows.append([np.median(length[scene.background]) for length in lengths])
        plain, warped, best = np.median(rows, axis=0)
        under = np.mean(np.array(rows)[:, 1] < 0.1)
        print(f"{kind:16}| {plain:7.3f} | {warped:7.3f} | {best:22.3f} | {under:5.0%}")


def in_opencv(detector, norm: int) -> Callable[[np.ndarray, np.ndarray], Pairs]:
    """Return a function that matches OpenCV's features as ours are: mutual best in a window."""

    def match(prev: np.ndarray, cur: np.ndarray) -> Pairs:
        places, descriptors = [], []
        for frame in (prev, cur):
            points, described = detector.detectAndCompute(frame, None)
            if not points:
                return (np.empty((0, 2), np.float32),) * 2
            places.append(cv2.KeyPoint_convert(points))
            descriptors.append(described)
        near = np.abs(places[0][:, None] - places[1]).max(axis=2) <= MATCH_WINDOW
        matcher = cv2.BFMatcher(norm)
        there = {m.queryIdx: m.trainIdx for m in matcher.match(*descriptors, near.astype("u1"))}
        mask = np.ascontiguousarray(near.T, np.uint8)
        back = {m.queryIdx: m.trainIdx for m in matcher.match(*descriptors[::-1], mask)}
        mutual = [(a, b) for a, b in there.items() if back.get(b) == a]
        first, second = np.array(mutual, int).reshape(-1, 2).T
        return places[0][first], places[1][second]

    return match


def by_features(scene: Scene) -> Pairs:
    return match_features(detect_features(scene.prev), detect_features(scene.cur))


def by_flow(scene: Scene, flow: np.ndarray) -> Pairs:
    return move_corners(detect_features(scene.prev), detect_features(scene.cur), flow)


def all_corners(scene: Scene, kept: np.ndarray) -> Pairs:
    corners = detect_features(scene.prev).points[kept]
    x, y = corners.T
    return corners.astype(np.float32), (corners + scene.stored[:, y, x].T).astype(np.float32)


def estimate(estimator: Callable, *pairs: Pairs) -> np.ndarray | None:
    source, target = (np.concatenate(points) for points in zip(*pairs, strict=True))
    return estimator(source, target) if len(source) > 50 else None


def corner_error(found: np.ndarray | None, true: np.ndarray) -> float:
    if found is None:
        return np.inf
    right, bottom = WIDTH - 1.0, HEIGHT - 1.0
    corners = np.array([[[0, 0]], [[right, 0]], [[0, bottom]], [[right, bottom]]])
    apart = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    return float(np.hypot(*apart[:, 0].T).max())


class Table:
    """Errors by variant and kind of motion, with times and numbers of matches where given."""

    def __init__(self, title: str, with_pairs: bool = False) -> None:
        self._title, self._with_pairs = title, with_pairs
        self._errors = defaultdict(lambda: defaultdict(list))
        self._times, self._right = defaultdict(list), defaultdict(list)

    def add(self, name: str, scene: Scene, found, seconds: float = 0.0, matches=None) -> None:
        self._errors[name][scene.kind].append(corner_error(found, scene.homography))
        self._times[name].append(1e3 * seconds)
        if matches is not None:
            source, target = matches
            mapped = cv2.perspectiveTransform(source[:, None].astype(float), scene.homography)
            apart = mapped[:, 0] - target if len(source) else np.empty((0, 2))
            self._right[name].append((np.hypot(*apart.T) < FAILED).sum())

    def show(self) -> None:
        print(f"{self._title:27}|{'|'.join(f'{kind:^14}' for kind in KINDS)}|     all      |    ms")
        for name, by_kind in self._errors.items():
            groups = [*by_kind.values(), [error for group in by_kind.values() for error in group]]
            cells = "|".join(
                f" {median(group):6.3f} {np.mean(np.array(group) > FAILED):5.0%} "
                for group in groups
            )
            right = f" ({median(self._right[name]):.0f} right)" if self._with_pairs else ""
            print(f"{name:27}|{cells}| {median(self._times[name]):5.1f}{right}")
        print()


if __name__ == "__main__":
    main()
