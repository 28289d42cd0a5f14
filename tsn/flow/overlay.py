"""Detect static overlays of a clip: logos, tickers, score boards, borders.

Such overlays stand still while the camera moves, and carry many corners. They are found over a
whole clip: textured pixels that hardly ever change although most of the textured frame does, and
borders that never change. With a camera that stands still, nothing is an overlay.
"""

from collections.abc import Iterable

import cv2
import numpy as np

from tsn.flow.features import PATCH_RADIUS

TEXTURE = 10
"""Grey levels per px from which a pixel counts as textured: there a motion of 1 px shows."""

CHANGE = 6
"""A pixel changes from one frame to the next by more grey levels than this (after a blur that takes
off noise of compression)."""

MOVING = 0.5
"""The scene moves between two frames if this fraction of the textured blocks changes: blocks, since
overlays often hold most of the texture, and cover little of the frame."""

BLOCK = 16
"""Side of the blocks in px."""

MIN_MOVING_PAIRS = 4
"""Minimum number of pairs with scene motion for detecting overlays."""

MAX_FRACTION = 0.25
"""What covers more of the frame is the scene, behind a large foreground that moves."""

STILL = 0.9
"""An overlay's pixels stay the same in at least this fraction of those pairs."""


class OverlayFinder:
    """Finds the overlays of a clip whose frames, grey, uint8 (H, W), are added one by one."""

    def __init__(self) -> None:
        self._pairs = 0
        self._previous: np.ndarray | None = None
        self._still = self._textured = np.zeros(0, np.int32)

    def add(self, frame: np.ndarray) -> None:
        """Take the clip's next frame into account."""
        blurred = cv2.blur(frame, (3, 3)).astype(np.int16)
        slopes = (cv2.Sobel(frame, cv2.CV_32F, *axes) / 8 for axes in ((1, 0), (0, 1)))
        textured = np.hypot(*slopes) > TEXTURE
        if self._previous is None:
            self._still, self._textured = np.zeros((2, *frame.shape), np.int32)
        else:
            unchanged = np.abs(blurred - self._previous) <= CHANGE
            if _moving_fraction(textured, ~unchanged) >= MOVING:
                self._pairs += 1
                self._still += unchanged
                self._textured += textured
        self._previous = blurred

    def result(self) -> np.ndarray | None:
        """Return where overlays, and what lies within a patch of them, are.

        Returns:
            bool (H, W), or None where there are none.
        """
        if self._previous is None or self._pairs < MIN_MOVING_PAIRS:
            return None
        needed = STILL * self._pairs
        stays = self._still >= needed
        overlay = _grown(stays & (self._textured >= needed))
        if overlay.mean() > MAX_FRACTION:
            overlay[:] = False
        overlay |= _grown(_borders(stays, self._previous))
        return overlay if overlay.any() else None


def find_overlay(frames: Iterable[np.ndarray]) -> np.ndarray | None:
    """Return `OverlayFinder.result` for all frames of a clip."""
    finder = OverlayFinder()
    for frame in frames:
        finder.add(frame)
    return finder.result()


def _moving_fraction(textured: np.ndarray, changed: np.ndarray) -> float:
    """Fraction of the blocks with texture in which most of the textured pixels changed."""
    height, width = textured.shape
    size = (max(1, width // BLOCK), max(1, height // BLOCK))
    texture, change = (
        cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for mask in (textured, textured & changed)
    )
    blocks = texture > 1 / 32
    return float((change[blocks] > texture[blocks] / 2).mean()) if blocks.any() else 0.0


def _grown(mask: np.ndarray) -> np.ndarray:
    side = 2 * PATCH_RADIUS + 1
    return cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _borders(stays: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Rows and columns of one colour, from the frame's edges inwards, that stay the same."""
    borders = np.zeros_like(stays)
    for turned, values, out in ((stays, frame, borders), (stays.T, frame.T, borders.T)):
        # Compression blurs the ends of a border that meet another one.
        low, high = np.percentile(values, (2, 98), axis=1)
        whole = (turned.mean(axis=1) >= STILL) & (high - low <= 2 * CHANGE)
        first = int(np.argmin(whole)) if not whole.all() else 0
        last = int(np.argmin(whole[::-1])) if not whole.all() else 0
        out[:first] = True
        out[len(out) - last :] = True
    return borders
