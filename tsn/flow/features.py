"""Corners of a frame, the patches around them, and their matches in another frame.

Between two frames of a video the camera turns and zooms by a few per cent at most. So the patch
around a corner changes little, and comparing grey values finds more correct matches than
descriptors built to survive large rotations, in a fraction of the time. `benchmarks/camera.py`
compares it with SIFT, ORB and AKAZE.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit

MAX_CORNERS = 1000
"""Most corners per frame, the strongest (dense_flow)."""

CORNER_QUALITY = 0.001
"""Corners are at least this strong, relative to the strongest (dense_flow)."""

CORNER_DISTANCE = 3
"""Corners are at least this many px apart (dense_flow)."""

MATCH_WINDOW = 25
"""Corners match within this many px on each axis (dense_flow)."""

SMOOTHING = 1.0
"""Standard deviation in px of the Gaussian blur against noise before patches are compared."""

PATCH_RADIUS = 5
"""Patches reach this many px from the corner: 11 x 11."""

MIN_CORRELATION = 0.8
"""Patches below this normalised cross-correlation do not match (0.7 to 0.9 work equally well)."""

_UNIT = 1024
"""Norm of a descriptor: sums of int16 products stay exact in any order."""

_REFINED_RADIUS = 4
"""Matches are refined on patches that reach this many px: 9 x 9, smaller than those compared,
because at the edge of an object a larger patch includes another motion."""


@dataclass(frozen=True)
class Features:
    """A frame's corners and the patches around them.

    Attributes:
        blurred: uint8 (H, W), the blurred frame.
        points: int32 (N, 2), x then y of the corners in px.
        descriptors: int16 (N, (2 * PATCH_RADIUS + 1)**2), patches minus their mean, of norm
            `_UNIT`; zero for constant patches.
    """

    blurred: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray


def detect_features(frame: np.ndarray, overlay: np.ndarray | None = None) -> Features:
    """Detect and describe a frame's corners.

    Args:
        frame: uint8 (H, W).
        overlay: bool (H, W), where no corners are wanted (`tsn.flow.overlay`); None for nowhere.
    """
    mask = None if overlay is None else np.where(overlay, 0, 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(frame, (0, 0), SMOOTHING)
    corners = cv2.goodFeaturesToTrack(
        frame, MAX_CORNERS, CORNER_QUALITY, CORNER_DISTANCE, mask=mask
    )
    points = np.empty((0, 2), np.int32) if corners is None else corners[:, 0].astype(np.int32)
    descriptors = np.empty((len(points), (2 * PATCH_RADIUS + 1) ** 2), np.int16)
    _describe(blurred, points, descriptors)
    return Features(blurred, points, descriptors)


def match_features(first: Features, second: Features) -> tuple[np.ndarray, np.ndarray]:
    """Return the points, float32 (N, 2), of corners that are mutual best matches.

    Points in the first frame lie on whole px, those in the second have sub-pixel precision.
    """
    rows = np.argsort(second.points[:, 1], kind="stable")
    best = np.empty(len(first.points), np.int64)
    _match(first.points, first.descriptors, second.points, second.descriptors, rows, best)
    matched = np.flatnonzero(best >= 0)
    source = first.points[matched].astype(np.float32)
    return source, _refine(first, second, source, second.points[best[matched]].astype(np.float32))


def move_corners(
    first: Features, second: Features, flow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the first frame's corners, float32 (N, 2), and where the flow moves them.

    A corner is left out if the patch at its target differs: there the flow is wrong, because the
    motion was too large for it or for the bound of the stored flow, or the corner is occluded.

    Args:
        first: Of the previous frame.
        second: Of the current frame.
        flow: float32 (2, H, W), motion from the first frame to the second in px.
    """
    x, y = first.points.T
    target = first.points + flow[:, y, x].T.astype(np.float32)
    similar = np.empty(len(target), np.bool_)
    _compare(first.blurred, second.blurred, first.points, target, similar)
    return first.points[similar].astype(np.float32), target[similar].astype(np.float32)


def _refine(
    first: Features, second: Features, source: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Return targets with sub-pixel precision by Lucas-Kanade; corners lie on whole px."""
    if not len(source):
        return target
    side = (2 * _REFINED_RADIUS + 1,) * 2
    refined, found, _ = cv2.calcOpticalFlowPyrLK(
        first.blurred,
        second.blurred,
        source,
        target.copy(),
        winSize=side,
        maxLevel=0,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    near = (np.abs(refined - target) <= CORNER_DISTANCE).all(axis=1)
    return np.where(near[:, None] & (found == 1), refined, target)


@njit(nogil=True, cache=True)
def _describe(blurred, points, descriptors):
    height, width = blurred.shape
    for n in range(len(points)):
        total, squares, k = 0, 0, 0
        for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
            y = min(max(points[n, 1] + dy, 0), height - 1)
            for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
                value = np.int64(blurred[y, min(max(points[n, 0] + dx, 0), width - 1)])
                descriptors[n, k] = value
                total += value
                squares += value * value
                k += 1
        variation = squares - total * total / k
        scale = _UNIT / np.sqrt(variation) if variation > 0 else 0.0
        for i in range(k):
            descriptors[n, i] = np.round((descriptors[n, i] - total / k) * scale)


@njit(nogil=True, cache=True)
def _match(points, descriptors, others, other_descriptors, rows, best):
    """Write to best[n] the index in `others` of the mutual best match of n, or -1.

    Args:
        points: int32 (N, 2).
        descriptors: int16 (N, K).
        others: int32 (M, 2).
        other_descriptors: int16 (M, K).
        rows: int64 (M,), indices of `others` from top to bottom.
        best: int64 (N,).
    """
    least = np.int32(MIN_CORRELATION * _UNIT * _UNIT)
    score = np.full(len(points), least, np.int32)
    other_score = np.full(len(others), least, np.int32)
    other_best = np.full(len(others), -1, np.int64)
    best[:] = -1
    heights = others[rows, 1]
    for n in range(len(points)):
        begin = np.searchsorted(heights, points[n, 1] - MATCH_WINDOW)
        end = np.searchsorted(heights, points[n, 1] + MATCH_WINDOW, side="right")
        for m in rows[begin:end]:
            if abs(points[n, 0] - others[m, 0]) > MATCH_WINDOW:
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
    for n in range(len(points)):
        if best[n] >= 0 and other_best[best[n]] != n:
            best[n] = -1


@njit(nogil=True, cache=True)
def _correlation(a, b, x, y, to_x, to_y):
    """Normalised correlation (-1..1) of the patches at (x, y) in a and at (to_x, to_y) in b.

    Points in b may lie between pixels; beyond the edges the outermost pixels are repeated.
    """
    height, width = a.shape
    left, top = np.int64(np.floor(to_x)), np.int64(np.floor(to_y))
    u, v = to_x - left, to_y - top
    sum_a, sum_b, sum_aa, sum_bb, sum_ab, count = 0.0, 0.0, 0.0, 0.0, 0.0, 0
    for dy in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
        row = min(max(y + dy, 0), height - 1)
        upper = min(max(top + dy, 0), height - 1)
        lower = min(max(top + dy + 1, 0), height - 1)
        for dx in range(-PATCH_RADIUS, PATCH_RADIUS + 1):
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
def _compare(a, b, points, targets, similar):
    """Write to similar[n] whether targets[n] lies inside b and its patch matches points[n] in a."""
    height, width = a.shape
    for n in range(len(points)):
        x, y = targets[n, 0], targets[n, 1]
        similar[n] = (
            0 <= x <= width - 1
            and 0 <= y <= height - 1
            and _correlation(a, b, points[n, 0], points[n, 1], x, y) > MIN_CORRELATION
        )
