"""Camera motion between two frames, as a homography, and its compensation.

The method is dense_flow's (after Wang and Schmid, Action Recognition with Improved Trajectories,
2013): matched features and corners moved by the flow give point pairs, RANSAC a homography.
dense_flow's SURF is not in pip's OpenCV; `features` says what replaces it, `homography` how the
estimate is refined, and `benchmarks/camera.py` measures both.

A camera on a tripod needs one more rule. A textured foreground that fills a good part of the frame
and moves a little supports some homography within a px of most pairs; but the identity then
explains the background exactly, and the homography nothing.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from tsn.flow.features import Features, detect_features, match_features, move_corners
from tsn.flow.homography import find_homography, transfer_errors, weights

INLIER_DISTANCE = 1.0
"""Point pairs within this many px of the homography are inliers (dense_flow)."""

MIN_PAIRS = 50
"""A homography is estimated from more than this many point pairs (dense_flow)."""

MIN_INLIERS = 25
"""A homography is accepted with more than this many inliers (dense_flow)."""

STILLNESS = 0.85
"""The camera counts as still if the identity has this fraction of the homography's support.

With real clips of still cameras it had .92 or more, and at most .84 when they were panned by
.1 px, which is less than a step of the stored flow."""

BORDER = 5
"""Pixels that map to within this many px of the border are not warped (dense_flow)."""


@dataclass(frozen=True)
class CameraMotion:
    """The camera's motion from one frame to the next.

    Attributes:
        homography: float64 (3, 3), maps (x, y, 1) of the previous frame to the current one;
            the identity unless accepted.
        inliers: Point pairs that support the estimate, accepted or not.
        accepted: Whether the camera moved, with enough inliers.
    """

    homography: np.ndarray
    inliers: int
    accepted: bool


def estimate_homography(
    prev: np.ndarray,
    cur: np.ndarray,
    flow: np.ndarray,
    features: tuple[Features, Features] | None = None,
) -> CameraMotion:
    """Estimate the camera's motion between two frames.

    Args:
        prev: Previous frame, uint8 (H, W).
        cur: Current frame, uint8 (H, W).
        flow: float32 (2, H, W), motion from prev to cur in px, x then y; bytes dequantised are
            precise enough.
        features: `detect_features` of both frames, if computed already.
    """
    first, second = features or (detect_features(prev), detect_features(cur))
    pairs = match_features(first, second), move_corners(first, second, flow)
    source, target = (np.concatenate(points) for points in zip(*pairs, strict=True))
    identity = np.eye(3)
    if len(source) <= MIN_PAIRS:
        return CameraMotion(identity, 0, False)
    homography = find_homography(source, target)
    if homography is None:
        return CameraMotion(identity, 0, False)
    errors = transfer_errors(homography, source, target)
    inliers = int((errors <= INLIER_DISTANCE).sum())
    support = weights(errors).sum()
    identity_support = weights(transfer_errors(identity, source, target)).sum()
    if inliers <= MIN_INLIERS or identity_support >= STILLNESS * support:
        return CameraMotion(identity, inliers, False)
    return CameraMotion(homography, inliers, True)


def warp_to_previous(prev: np.ndarray, cur: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return the current frame as a camera that did not move would have seen it.

    Args:
        prev: Previous frame, uint8 (H, W).
        cur: Current frame, uint8 (H, W).
        homography: float64 (3, 3), from prev to cur.

    Returns:
        uint8 (H, W), interpolated linearly. Pixels that map outside `cur`, or to within `BORDER`
        px of its border, are those of `prev`.
    """
    stabilised = np.empty_like(prev)
    _warp(prev, cur, homography.astype(np.float64), stabilised)
    return stabilised


@njit(nogil=True, cache=True, error_model="numpy")
def _warp(prev, cur, homography, out):
    height, width = prev.shape
    h = homography
    right, bottom = width - 1 - BORDER, height - 1 - BORDER
    for y in range(height):
        for x in range(width):
            depth = h[2, 0] * x + h[2, 1] * y + h[2, 2]
            to_x = (h[0, 0] * x + h[0, 1] * y + h[0, 2]) / depth
            to_y = (h[1, 0] * x + h[1, 1] * y + h[1, 2]) / depth
            # Points behind the camera, and those that map to infinity, have no place in `cur`.
            if not (depth > 0 and BORDER <= to_x <= right and BORDER <= to_y <= bottom):
                out[y, x] = prev[y, x]
                continue
            left, top = np.int64(to_x), np.int64(to_y)
            u, v = np.float32(to_x - left), np.float32(to_y - top)
            upper = cur[top, left] + u * (np.float32(cur[top, left + 1]) - cur[top, left])
            lower = cur[top + 1, left] + u * (
                np.float32(cur[top + 1, left + 1]) - cur[top + 1, left]
            )
            out[y, x] = np.uint8(upper + v * (lower - upper) + np.float32(0.5))
