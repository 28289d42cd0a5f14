"""The homography that most point pairs agree on, by RANSAC and a robust refinement.

RANSAC is OpenCV's USAC_FAST: it improves its best models on their inliers and leaves a sample as
soon as it looks bad, so frames without a clear motion cost little, too. Its inliers include pairs
of a foreground that moves almost like the background, which pull a least-squares fit towards it. So
the homography is fitted again to all pairs, with weights that fall steeply with the transfer error.
"""

import cv2
import numpy as np
from numba import njit

RANSAC_DISTANCE = 0.5
"""RANSAC's inliers lie within this many px. dense_flow has 1 px, which includes more of a slowly
moving foreground: a quarter more failures in `benchmarks/camera.py`."""

MAX_ITERATIONS = 10_000
"""Most samples that RANSAC draws: 99.9 % confidence with one correct pair in six."""

CONFIDENCE = 0.9999
"""RANSAC stops earlier at this confidence."""

SCALE = 0.2
"""A pair with this error in px has weight 1/4: about the precision of the pairs."""

_STEPS = 10
"""Most Gauss-Newton steps of the fit; it mostly converges in four."""

_CONVERGED = 1e-6
"""The fit ends when no coefficient changes by more: 1e-4 px at the frame's corners."""


def find_homography(source: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """Return the homography that most pairs agree on, or None where there is none.

    Args:
        source: float32 (N, 2), x and y in px, N >= 4.
        target: float32 (N, 2), the corresponding points.

    Returns:
        float64 (3, 3), maps (x, y, 1) of the source to the target; its last element is 1.
    """
    found, _ = cv2.findHomography(
        source,
        target,
        cv2.USAC_FAST,
        RANSAC_DISTANCE,
        maxIters=MAX_ITERATIONS,
        confidence=CONFIDENCE,
    )
    if found is None or not np.isfinite(found).all():
        return None
    return refine(found, source.astype(np.float64), target.astype(np.float64))


def transfer_errors(homography: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the distance in px, float64 (N,), between each mapped source and its target."""
    mapped = np.c_[source, np.ones(len(source))] @ homography.T
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.hypot(*(mapped[:, :2] / mapped[:, 2:] - target).T)
    return np.where(np.isnan(errors), np.inf, errors)


def weights(errors: np.ndarray) -> np.ndarray:
    """Return the weights (1 down to 0) of Geman and McClure's estimator (1985) for errors in px."""
    return 1 / (1 + (errors / SCALE) ** 2) ** 2


def refine(start: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Fit a homography to all pairs by iteratively reweighted Gauss-Newton steps.

    Args:
        start: float64 (3, 3), near the result.
        source: float64 (N, 2), x and y in px.
        target: float64 (N, 2), the corresponding points.

    Returns:
        float64 (3, 3); its last element is 1.
    """
    # Coordinates of about 1 keep the equations well conditioned (Hartley 1997).
    centre = source.mean(axis=0)
    unit = max(1.0, np.abs(source - centre).max())
    scaling = np.array([[1, 0, -centre[0]], [0, 1, -centre[1]], [0, 0, unit]]) / unit
    unscaling = np.linalg.inv(scaling)
    points, wanted = (source - centre) / unit, (target - centre) / unit
    current = scaling @ start @ unscaling
    current /= current[2, 2]
    for _ in range(_STEPS):
        try:
            step = np.linalg.solve(*_equations(current, points, wanted, SCALE / unit))
        except np.linalg.LinAlgError:
            break
        current += np.append(step, 0).reshape(3, 3)
        if np.abs(step).max() < _CONVERGED:
            break
    fitted = unscaling @ current @ scaling
    return fitted / fitted[2, 2]


def _equations(
    current: np.ndarray, points: np.ndarray, wanted: np.ndarray, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return matrix (8, 8) and right side (8,) of a Gauss-Newton step.

    With p = (x, y, 1), q = (x, y) and depth d, the derivatives of the mapped (u, v)
    are [p, 0, -u q] / d and [0, p, -v q] / d. So every block holds moments of p.
    """
    moments, right = np.zeros((4, 3, 3)), np.zeros(8)
    _accumulate(current, points, wanted, scale, moments, right)
    plain, by_u, by_v, by_both = moments + np.triu(moments.transpose(0, 2, 1), 1)
    nothing = np.zeros((3, 3))
    rows = [
        [plain, nothing, -by_u[:, :2]],
        [nothing, plain, -by_v[:, :2]],
        [-by_u[:2], -by_v[:2], by_both[:2, :2]],
    ]
    return np.block(rows), right


@njit(nogil=True, cache=True, error_model="numpy")
def _accumulate(current, points, wanted, scale, moments, right):
    """Accumulate weighted moments of the points.

    Args:
        current: float64 (3, 3), the homography so far.
        points: float64 (N, 2).
        wanted: float64 (N, 2), the corresponding points.
        scale: `SCALE` in the unit of the points.
        moments: float64 (4, 3, 3), zeros; the lower triangles get the sums of w p p^T / d^2 times
            1, u, v and u^2 + v^2.
        right: float64 (8,), zeros; gets the right side.
    """
    for n in range(len(points)):
        x, y = points[n, 0], points[n, 1]
        inverse = 1 / (current[2, 0] * x + current[2, 1] * y + current[2, 2])
        u = (current[0, 0] * x + current[0, 1] * y + current[0, 2]) * inverse
        v = (current[1, 0] * x + current[1, 1] * y + current[1, 2]) * inverse
        residual_x, residual_y = wanted[n, 0] - u, wanted[n, 1] - v
        weight = (
            inverse
            / (1 + (residual_x * residual_x + residual_y * residual_y) / (scale * scale)) ** 2
        )
        along = u * residual_x + v * residual_y
        right[0] += weight * residual_x * x
        right[1] += weight * residual_x * y
        right[2] += weight * residual_x
        right[3] += weight * residual_y * x
        right[4] += weight * residual_y * y
        right[5] += weight * residual_y
        right[6] -= weight * along * x
        right[7] -= weight * along * y
        factor = weight * inverse
        for k, part in enumerate((factor, factor * u, factor * v, factor * (u * u + v * v))):
            moments[k, 0, 0] += part * x * x
            moments[k, 1, 0] += part * x * y
            moments[k, 2, 0] += part * x
            moments[k, 1, 1] += part * y * y
            moments[k, 2, 1] += part * y
            moments[k, 2, 2] += part
