"""Pairs of frames between which the camera's motion is known.

A frame of each clip is moved as a camera would move it, by every kind of motion; mirrored content
comes in at the edges. An ellipse from another clip, a fifth of the frame, moves over it by 2 to
6 px more. Both frames get noise (standard deviation 2 grey levels) and JPEG artefacts (quality
60). Scenes with little texture behind the ellipse are part of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.video.decode import read_frames

WIDTH, HEIGHT = 340, 256
MARGIN = 72


@dataclass(frozen=True)
class Scene:
    """Two frames, uint8 (H, W), the homography between them, their flow (2, H, W) in px, and
    where, bool (H, W), the background of the first is seen in the second."""

    kind: str
    prev: np.ndarray
    cur: np.ndarray
    homography: np.ndarray
    flow: np.ndarray
    background: np.ndarray

    @property
    def stored(self) -> np.ndarray:
        return dequantise(quantise(self.flow))


def read_frame(path: Path, number: int) -> np.ndarray:
    frames = list(islice(read_frames(path, (WIDTH, HEIGHT), "grey"), number + 1))
    return frames[-1]


def motion(shift=(0.0, 0.0), turn=0.0, zoom=1.0, tilt=(0.0, 0.0)) -> np.ndarray:
    """Return the homography of a shift in px, a turn in degrees, a zoom and a tilt in 1/px, about
    the centre of the frame."""
    to = np.array([[1, 0, (WIDTH - 1) / 2], [0, 1, (HEIGHT - 1) / 2], [0, 0, 1]])
    a, b = zoom * np.cos(np.deg2rad(turn)), zoom * np.sin(np.deg2rad(turn))
    about = np.array([[a, -b, shift[0]], [b, a, shift[1]], [*tilt, 1]])
    return to @ about @ np.linalg.inv(to)


def polar(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Return a vector of a length between low and high, in any direction."""
    angle = rng.uniform(0, 2 * np.pi)
    return rng.uniform(low, high) * np.array([np.cos(angle), np.sin(angle)])


def either(rng: np.random.Generator, low: float, high: float) -> float:
    return rng.choice([-1, 1]) * rng.uniform(low, high)


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "pan .3-1 px": lambda rng: motion(polar(rng, 0.3, 1)),
    "pan 2-8 px": lambda rng: motion(polar(rng, 2, 8)),
    "pan 10-18 px": lambda rng: motion(polar(rng, 10, 18)),
    # Beyond the stored range of 20 px, within the window of the matches.
    "pan 21-24 px": lambda rng: motion((either(rng, 21, 24), rng.uniform(-4, 4))),
    "zoom 1-4 %": lambda rng: motion(zoom=1 + either(rng, 0.01, 0.04)),
    "turn .5-2 deg": lambda rng: motion(turn=either(rng, 0.5, 2)),
    "shake": lambda rng: motion(
        rng.uniform(-6, 6, 2),
        rng.uniform(-1, 1),
        1 + rng.uniform(-0.02, 0.02),
        rng.uniform(-2e-5, 2e-5, 2),
    ),
}


def make_scenes(stills: list[np.ndarray], tvl1: TVL1) -> list[Scene]:
    scenes = []
    for k, (kind, draw) in enumerate(KINDS.items()):
        for n, still in enumerate(stills):
            rng = np.random.default_rng([k, n])
            homography = draw(rng)
            patch = stills[(n + 5) % len(stills)]
            prev, cur, background = compose(still, patch, homography, rng)
            flow = tvl1.pairs(prev[None], cur[None])[0]
            scenes.append(Scene(kind, prev, cur, homography, flow, background))
    return scenes


def compose(still: np.ndarray, patch: np.ndarray, homography: np.ndarray, rng) -> tuple:
    """Return both frames and the mask of the background, clear of edges by 8 to 15 px."""
    # Both views are interpolated, so that neither is sharper than the other.
    start = motion(rng.uniform(-0.5, 0.5, 2))
    own = homography @ motion(polar(rng, 2, 6))
    axes = np.array([52, 106]) if rng.random() < 0.5 else np.array([84, 66])
    x, y = rng.uniform(axes + 10, np.array([WIDTH, HEIGHT]) - axes - 10).astype(int)
    ellipse = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(ellipse, (int(x), int(y)), tuple(map(int, axes)), 0, 0, 360, 255, -1)
    moved = cv2.warpPerspective(ellipse, own, (WIDTH, HEIGHT))
    prev = np.where(ellipse > 127, view(patch, start), view(still, start))
    cur = np.where(moved > 127, view(patch, own @ start), view(still, homography @ start))
    back = np.linalg.inv(homography)
    hidden = ellipse | cv2.warpPerspective(moved, back, (WIDTH, HEIGHT))
    seen = cv2.warpPerspective(np.full_like(ellipse, 255), back, (WIDTH, HEIGHT))
    clear = cv2.erode((hidden == 0).astype(np.uint8), np.ones((17, 17))) > 0
    inside = cv2.erode((seen == 255).astype(np.uint8), np.ones((31, 31)), borderValue=0) > 0
    return spoil(prev, rng), spoil(cur, rng), clear & inside


def view(frame: np.ndarray, homography: np.ndarray) -> np.ndarray:
    mirrored = cv2.copyMakeBorder(frame, *[MARGIN] * 4, cv2.BORDER_REFLECT_101)
    to_frame = np.array([[1, 0, -MARGIN], [0, 1, -MARGIN], [0, 0, 1]])
    return cv2.warpPerspective(
        mirrored, homography @ to_frame, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC
    )


def spoil(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = (frame + rng.normal(0, 2, frame.shape)).clip(0, 255).round().astype(np.uint8)
    coded = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
