"""Camera motion behind overlays: logos, tickers, score boards and borders, drawn and real.

Run it with: OMP_NUM_THREADS=1 python benchmarks/camera_overlays.py VIDEO [VIDEO ...]

First a frame of each video is panned, or stands still, behind a moving foreground, and overlays are
drawn on the clip. Then pairs of the videos as they are: what they show is not known, so there are
two witnesses, an estimate as dense_flow makes it (SIFT matched within 25 px, corners moved by the
flow, RANSAC at 1 px, 25 inliers) and phase correlation. Each pair is estimated without and with
what `tsn.flow.overlay` finds in its clip. Flow is that of DIS, which is quick.
"""

import argparse
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from moved_clips import HEIGHT, WIDTH, motion, polar, read_frame, spoil, view

from tsn.flow.algorithms import create_estimator
from tsn.flow.camera import CameraMotion, estimate_homography, warp_to_previous
from tsn.flow.features import MATCH_WINDOW, detect_features, move_corners
from tsn.flow.overlay import find_overlay
from tsn.video.decode import read_frames

FRAMES = 8
"""Of a clip that is made."""

PAIRS = 8
"""Of a real clip that are looked at, evenly spread."""

MOVES = 0.7
"""The camera moves by more px at the frame's centre, in the eyes of a witness."""

estimator = create_estimator("dis")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    cv2.setRNGSeed(0)
    measure_drawn([read_frame(path, 8) for path in options.videos])
    measure_real(options.videos)


# Clips that are made


def logo(frame: np.ndarray, screen: np.ndarray, _: int) -> None:
    frame[12:52, 270:325] = screen[12:52, 270:325]


def ticker(frame: np.ndarray, screen: np.ndarray, t: int) -> None:
    """A bar whose text runs to the left, and a score board that stands still above it."""
    frame[220:248] = np.roll(screen[220:248], -3 * t, axis=1)
    frame[180:214, 15:150] = screen[180:214, 15:150]


def borders(frame: np.ndarray, _: np.ndarray, __: int) -> None:
    frame[:30] = frame[-30:] = 16


OVERLAYS = {
    "none": (),
    "logo": (logo,),
    "ticker, score board": (ticker,),
    "borders": (borders,),
    "all": (borders, logo, ticker),
}


def measure_drawn(stills: list[np.ndarray]) -> None:
    print(f"{len(stills)} frames, panned by 1.5 to 6 px or still behind a moving foreground;")
    print("pairs accepted as moving without -> with overlays found; background flow in px,")
    print("median of the pairs that move: plain, warped without -> with")
    for name, draw in OVERLAYS.items():
        accepted, lengths = defaultdict(list), []
        for n, still in enumerate(stills):
            rng = np.random.default_rng(n)
            for moves in (False, True):
                shift = polar(rng, 1.5, 6) if moves else np.zeros(2)
                patch, screen = stills[(n + 5) % len(stills)], stills[(n + 9) % len(stills)]
                frames, background = make_clip(still, patch, screen, shift, draw, rng)
                overlay = find_overlay(frames)
                flow = estimator(np.stack(frames[:2]))[0]
                found = [estimate(*frames[:2], flow, mask) for mask in (None, overlay)]
                accepted[moves].append([motion.accepted for motion in found])
                if moves:
                    warped = [np.median(residual(*frames[:2], m)[background]) for m in found]
                    lengths.append([np.median(np.hypot(*flow)[background]), *warped])
        moving, still_ones = (np.mean(accepted[k], axis=0) for k in (True, False))
        plain, before, after = np.median(lengths, axis=0)
        print(
            f"  {name:20} moving {moving[0]:4.0%} -> {moving[1]:4.0%}, "
            f"still {still_ones[0]:4.0%} -> {still_ones[1]:4.0%}, "
            f"background {plain:.2f}, {before:.2f} -> {after:.2f}"
        )


def make_clip(still, patch, screen, shift, draw, rng) -> tuple[list[np.ndarray], np.ndarray]:
    """The frames, and where the background of the first is seen, clear of all else."""
    own = polar(rng, 2, 5)
    centre = rng.uniform((100, 90), (WIDTH - 100, HEIGHT - 90))
    # Contrast of what belongs to a screen.
    screen = ((screen.astype(float) - 128) * 1.5 + 128).clip(0, 255).astype(np.uint8)
    frames, hidden = [], np.zeros((HEIGHT, WIDTH), bool)
    for t in range(FRAMES):
        ellipse = np.zeros((HEIGHT, WIDTH), np.uint8)
        at = tuple(map(int, centre + t * (shift + own) - FRAMES / 2 * shift))
        cv2.ellipse(ellipse, at, (48, 70), 0, 0, 360, 255, -1)
        place = (t - FRAMES / 2) * shift
        moved = view(patch, motion(place + t * own))
        frame = np.where(ellipse > 0, moved, view(still, motion(place)))
        clean = frame.copy()
        for add in draw:
            add(frame, screen, t)
        if t < 2:
            hidden |= (ellipse > 0) | (frame != clean)
        frames.append(spoil(frame, rng))
    hidden[:20] = hidden[-20:] = hidden[:, :20] = hidden[:, -20:] = True
    return frames, cv2.dilate(hidden.astype(np.uint8), np.ones((17, 17))) == 0


# Clips as they are


@dataclass
class Count:
    """Pairs of a class."""

    pairs: int = 0
    move: int = 0
    move_before: int = 0
    move_after: int = 0
    stand: int = 0
    stand_before: int = 0
    stand_after: int = 0


def measure_real(videos: list[Path]) -> None:
    print(
        f"\npairs of real clips: both witnesses above {MOVES} px: it moves; both below: it stands;"
    )
    print("accepted as moving without -> with overlays; overlay: clips with any, largest fraction")
    counts: dict[str, Count] = defaultdict(Count)
    masks: dict[str, list[float]] = defaultdict(list)
    for path in videos:
        name = path.parent.name
        frames = list(islice(read_frames(path, (WIDTH, HEIGHT), "grey"), 200))
        overlay = find_overlay(frames)
        masks[name].append(0.0 if overlay is None else float(overlay.mean()))
        for t in np.linspace(0, len(frames) - 2, PAIRS).astype(int):
            count_pair(counts[name], frames[t], frames[t + 1], overlay)
    for name, c in counts.items():
        print(
            f"  {name:16} {c.pairs} pairs; moves: {c.move_before} -> {c.move_after} of {c.move}; "
            f"stands: {c.stand_before} -> {c.stand_after} of {c.stand}; "
            f"overlay {np.count_nonzero(masks[name])} of {len(masks[name])}, {max(masks[name]):.0%}"
        )


def count_pair(count: Count, prev: np.ndarray, cur: np.ndarray, overlay: np.ndarray | None) -> None:
    flow = estimator(np.stack([prev, cur]))[0]
    before, after = (estimate(prev, cur, flow, mask).accepted for mask in (None, overlay))
    witnesses = [dense_flow_motion(prev, cur, flow), phase_motion(prev, cur)]
    count.pairs += 1
    if min(witnesses) > MOVES:
        count.move += 1
        count.move_before += before
        count.move_after += after
    elif max(witnesses) <= MOVES:
        count.stand += 1
        count.stand_before += before
        count.stand_after += after


def dense_flow_motion(prev: np.ndarray, cur: np.ndarray, flow: np.ndarray) -> float:
    """Motion of the frame's centre in px by dense_flow's estimate; 0 where it finds none."""
    sift = cv2.SIFT_create(1000)
    found = [sift.detectAndCompute(frame, None) for frame in (prev, cur)]
    pairs = [move_corners(detect_features(prev), detect_features(cur), flow)]
    if all(points for points, _ in found):
        places = [cv2.KeyPoint_convert(points) for points, _ in found]
        near = np.abs(places[0][:, None] - places[1]).max(axis=2) <= MATCH_WINDOW
        matches = cv2.BFMatcher(cv2.NORM_L2, crossCheck=False).match(
            found[0][1], found[1][1], near.astype(np.uint8)
        )
        rows = np.array([(m.queryIdx, m.trainIdx) for m in matches], int).reshape(-1, 2)
        pairs.append((places[0][rows[:, 0]], places[1][rows[:, 1]]))
    source, target = (np.concatenate(points) for points in zip(*pairs, strict=True))
    if len(source) <= 50:
        return 0.0
    homography, inliers = cv2.findHomography(source, target, cv2.RANSAC, 1.0)
    if homography is None or inliers.sum() <= 25:
        return 0.0
    centre = np.array([[[WIDTH / 2, HEIGHT / 2]]])
    return float(np.linalg.norm(cv2.perspectiveTransform(centre, homography) - centre))


def phase_motion(prev: np.ndarray, cur: np.ndarray) -> float:
    """Motion in px of most of the frame, by phase correlation inside of wide borders."""
    inner = np.s_[48:-48, 20:-20]
    window = cv2.createHanningWindow((WIDTH - 40, HEIGHT - 96), cv2.CV_32F)
    shift, _ = cv2.phaseCorrelate(
        *(frame[inner].astype(np.float32) for frame in (prev, cur)), window
    )
    return float(np.hypot(*shift))


def estimate(
    prev: np.ndarray, cur: np.ndarray, flow: np.ndarray, overlay: np.ndarray | None
) -> CameraMotion:
    features = tuple(detect_features(frame, overlay) for frame in (prev, cur))
    return estimate_homography(prev, cur, flow, features)


def residual(prev: np.ndarray, cur: np.ndarray, found: CameraMotion) -> np.ndarray:
    """Length (H, W) in px of the flow that is left."""
    return np.hypot(
        *estimator.pairs(prev[None], warp_to_previous(prev, cur, found.homography)[None])[0]
    )


if __name__ == "__main__":
    main()
