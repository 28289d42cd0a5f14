"""Corners of a frame, what surrounds them, and their matches in another frame.

Between two frames of a video the camera turns and zooms by a few per cent at most. So the grey
values around a corner change little, and comparing them as they are finds more right matches than
descriptors made to survive large turns, at a small part of the time. `benchmarks/camera.py` shows
it against SIFT, ORB and AKAZE.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

CORNERS = 1000
"""Most corners per frame, the strongest (dense_flow)."""

CORNER_QUALITY = 0.001
"""Corners are at least this strong, relative to the strongest (dense_flow)."""

CORNER_DISTANCE = 3
"""Corners are at least this many px apart (dense_flow)."""

MATCH_WINDOW = 25
"""Corners match within this many px on each axis (dense_flow)."""

SMOOTHING = 1.0
"""Standard deviation in px of the blur before surroundings are compared: it takes off noise."""

RADIUS = 5
"""Surroundings reach this many px from the corner: 11 x 11."""

LEAST_CORRELATION = 0.8
"""Surroundings that correlate less belong to different things (0.7 to 0.9 do as well)."""

_UNIT = 1024
"""Length of a descriptor: products of int16 stay exact, whatever order they are added in."""

_REFINED = 4
"""What is within this many px of a match makes it precise: 9 x 9, less than is compared, because
near the edge of a thing its surroundings move otherwise."""


@dataclass(frozen=True)
class Features:
    """A frame's corners and their surroundings.

    Attributes:
        smooth: uint8 (H, W), the frame, blurred.
        places: int32 (N, 2), x then y of the corners in px.
        descriptors: int16 (N, (2 * RADIUS + 1)**2), surroundings less their mean, of length
            `_UNIT`; zero where nothing varies.
    """

    smooth: np.ndarray
    places: np.ndarray
    descriptors: np.ndarray


def detect_features(frame: np.ndarray) -> Features:
    """Find a frame's corners.

    Args:
        frame: uint8 (H, W).
    """
    smooth = cv2.GaussianBlur(frame, (0, 0), SMOOTHING)
    corners = cv2.goodFeaturesToTrack(frame, CORNERS, CORNER_QUALITY, CORNER_DISTANCE)
    places = np.empty((0, 2), np.int32) if corners is None else corners[:, 0].astype(np.int32)
    descriptors = np.empty((len(places), (2 * RADIUS + 1) ** 2), np.int16)
    _describe(smooth, places, descriptors)
    return Features(smooth, places, descriptors)


def match_features(first: Features, second: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return the places, float32 (N, 2), of corners that are each other's best match.

    The places in the first frame are whole px, those in the second precise to a fraction.
    """
    rows = np.argsort(second.places[:, 1], kind="stable")
    best = np.empty(len(first.places), np.int64)
    _match(first.places, first.descriptors, second.places, second.descriptors, rows, best)
    matched = np.flatnonzero(best >= 0)
    source = first.places[matched].astype(np.float32)
    return source, _refine(first, second, source, second.places[best[matched]].astype(np.float32))


def move_corners(
    first: Features, second: Features, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first frame's corners, float32 (N, 2), and where the flow moves them.

    A corner is left out where its surroundings are not found again at its end: there the flow is
    wrong, because the motion was too large for it or for its stored range, or the corner is hidden.

    Args:
        first: Of the previous frame.
        second: Of the current frame.
        flow: float32 (2, H, W), motion from the first frame to the second in px.
    """
    x, y = first.places.T
    target = first.places + flow[:, y, x].T.astype(np.float32)
    alike = np.empty(len(target), np.bool_)
    _check(first.smooth, second.smooth, first.places, target, alike)
    return first.places[alike].astype(np.float32), target[alike].astype(np.float32)


def _refine(
    first: Features, second: Features, source: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Return matches to a fraction of a px: corners lie on whole px."""
    if not len(source):
        return target
    side = (2 * _REFINED + 1,) * 2
    refined, found, _ = cv2.calcOpticalFlowPyrLK(
        first.smooth,
        second.smooth,
        source,
        target.copy(),
        winSize=side,
        maxLevel=0,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    near = (np.abs(refined - target) <= CORNER_DISTANCE).all(axis=1)
    return np.where(near[:, None] & (found == 1), refined, target)


@njit(nogil=True, cache=True)
def _describe(smooth, places, descriptors):
    height, width = smooth.shape
    for n in range(len(places)):
        total, squares, k = 0, 0, 0
        for dy in range(-RADIUS, RADIUS + 1):
            y = min(max(places[n, 1] + dy, 0), height - 1)
            for dx in range(-RADIUS, RADIUS + 1):
                value = np.int64(smooth[y, min(max(places[n, 0] + dx, 0), width - 1)])
                descriptors[n, k] = value
                total += value
                squares += value * value
                k += 1
        variation = squares - total * total / k
        scale = _UNIT / np.sqrt(variation) if variation > 0 else 0.0
        for i in range(k):
            descriptors[n, i] = np.round((descriptors[n, i] - total / k) * scale)


@njit(nogil=True, cache=True)
def _match(places, descriptors, others, other_descriptors, rows, best):
    """Write to best[n] the index in `others` of the mutual best match of n, or -1.

    Args:
        places: int32 (N, 2).
        descriptors: int16 (N, K).
        others: int32 (M, 2).
        other_descriptors: int16 (M, K).
        rows: int64 (M,), indices of `others` from top to bottom.
        best: int64 (N,).
    """
    least = np.int32(LEAST_CORRELATION * _UNIT * _UNIT)
    score = np.full(len(places), least, np.int32)
    other_score = np.full(len(others), least, np.int32)
    other_best = np.full(len(others), -1, np.int64)
    best[:] = -1
    heights = others[rows, 1]
    for n in range(len(places)):
        begin = np.searchsorted(heights, places[n, 1] - MATCH_WINDOW)
        end = np.searchsorted(heights, places[n, 1] + MATCH_WINDOW, side="right")
        for m in rows[begin:end]:
            if abs(places[n, 0] - others[m, 0]) > MATCH_WINDOW:
                continue
            product = np.int32(0)
            for k in range(descriptors.shape[1]):
                product += np.int32(descriptors[n, k]) * np.int32(other_descriptors[m, k])
            if product > score[n]:
                score[n] = product
                best[n] = m
            if product > other_score[m]:
                other_score[m] = product
                other_best[m] = n
    for n in range(len(places)):
        if best[n] >= 0 and other_best[best[n]] != n:
            best[n] = -1


@njit(nogil=True, cache=True)
def _correlation(a, b, x, y, to_x, to_y):
    """Correlation (-1..1) of the surroundings of (x, y) in a and of (to_x, to_y) in b.

    Places in b may lie between pixels; beyond the edges the outermost pixels are repeated.
    """
    height, width = a.shape
    left, top = np.int64(np.floor(to_x)), np.int64(np.floor(to_y))
    u, v = to_x - left, to_y - top
    sum_a, sum_b, sum_aa, sum_bb, sum_ab, count = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for dy in range(-RADIUS, RADIUS + 1):
        row = min(max(y + dy, 0), height - 1)
        upper = min(max(top + dy, 0), height - 1)
        lower = min(max(top + dy + 1, 0), height - 1)
        for dx in range(-RADIUS, RADIUS + 1):
            p = np.float64(a[row, min(max(x + dx, 0), width - 1)])
            near = min(max(left + dx, 0), width - 1)
            far = min(max(left + dx + 1, 0), width - 1)
            q = (1 - v) * ((1 - u) * b[upper, near] + u * b[upper, far]) + v * (
                (1 - u) * b[lower, near] + u * b[lower, far]
            )
            sum_a += p
            sum_b += q
            sum_aa += p * p
            sum_bb += q * q
            sum_ab += p * q
            count += 1
    spread = (sum_aa - sum_a * sum_a / count) * (sum_bb - sum_b * sum_b / count)
    return (sum_ab - sum_a * sum_b / count) / np.sqrt(spread) if spread > 1e-9 else -1.0


@njit(nogil=True, cache=True)
def _check(a, b, places, targets, alike):
    """Write to alike[n] whether targets[n] lies inside b and looks like places[n] in a."""
    height, width = a.shape
    for n in range(len(places)):
        x, y = targets[n, 0], targets[n, 1]
        alike[n] = (
            0 <= x <= width - 1
            and 0 <= y <= height - 1
            and _correlation(a, b, places[n, 0], places[n, 1], x, y) > LEAST_CORRELATION
        )
