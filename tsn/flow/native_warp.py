"""Warping for the native TV-L1 engine: bicubic, with image gradients, fused with the data term.

The conventions are those of OpenCV's `remap` with INTER_CUBIC and a constant border of 0, which
`cv2.optflow` warps with: positions are rounded to 1/32 px, the cubic has A = -0.75, and what
lies outside the frame is 0.
"""

import numpy as np
from numba import njit

SUBPIXELS = 32
"""Positions within a pixel (INTER_TAB_SIZE of OpenCV)."""

CUBIC_A = -0.75
"""The free coefficient of the cubic (OpenCV's interpolateCubic)."""

MARGIN = 4
"""Zeros around a packed image: a 4 x 4 window just outside the frame reads only those."""

_TINY = np.finfo(np.float32).eps


def cubic_weights() -> np.ndarray:
    """Return the float32 (32, 4) weights of the four taps at -1, 0, 1, 2 for every sub-pixel."""
    x = np.arange(SUBPIXELS, dtype=np.float32) / np.float32(SUBPIXELS)
    a = np.float32(CUBIC_A)
    taps = np.empty((SUBPIXELS, 4), np.float32)
    taps[:, 0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    taps[:, 1] = ((a + 2) * x - (a + 3)) * x * x + 1
    taps[:, 2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    taps[:, 3] = 1 - taps[:, 0] - taps[:, 1] - taps[:, 2]
    return taps


@njit(nogil=True, cache=True)
def pack(image, packed):
    """Write an image and its centred gradients into a packed array.

    Args:
        image: float32 (H, W).
        packed: float32 (H + 2 * MARGIN, W + 2 * MARGIN, 4), zero in its margins; the last axis
            becomes grey value, x gradient, y gradient, 0. At the edges the gradient is half the
            difference to the only neighbour, as in OpenCV.
    """
    height, width = image.shape
    half = np.float32(0.5)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            packed[y + MARGIN, x + MARGIN, 0] = image[y, x]
            packed[y + MARGIN, x + MARGIN, 1] = half * (image[y, right] - image[y, left])
            packed[y + MARGIN, x + MARGIN, 2] = half * (image[down, x] - image[up, x])


@njit(nogil=True, cache=True, error_model="numpy")
def _sample_row(y, width, u1, u2, packed, weights, line):
    """Interpolate the packed image at row y displaced by the flow, into line (W, 4)."""
    lowest = 1 - MARGIN
    highest_x = packed.shape[1] - 2 * MARGIN + 1
    highest_y = packed.shape[0] - 2 * MARGIN + 1
    for x in range(width):
        # NumPy's rounding to even is also that of OpenCV's cvRound.
        fx = np.int64(np.rint((np.float32(x) + u1[y, x]) * np.float32(SUBPIXELS)))
        fy = np.int64(np.rint((np.float32(y) + u2[y, x]) * np.float32(SUBPIXELS)))
        left = min(max(fx >> 5, lowest), highest_x) + (MARGIN - 1)
        top = min(max(fy >> 5, lowest), highest_y) + (MARGIN - 1)
        wx = weights[fx & 31]
        wy = weights[fy & 31]
        value = np.float32(0)
        grad_x = np.float32(0)
        grad_y = np.float32(0)
        for r in range(4):
            row = packed[top + r]
            for c in range(4):
                weight = wx[c] * wy[r]
                value += weight * row[left + c, 0]
                grad_x += weight * row[left + c, 1]
                grad_y += weight * row[left + c, 2]
        line[x, 0] = value
        line[x, 1] = grad_x
        line[x, 2] = grad_y


@njit(nogil=True, cache=True, error_model="numpy")
def warp(first, packed, weights, flow, data, line):
    """Warp the second frame by the flow and linearise the data term there.

    Args:
        first: float32 (H, W), the first frame in grey levels.
        packed: The second frame, as `pack` makes it.
        weights: `cubic_weights()`.
        flow: Planes (u1, u2, ...) in px.
        data: Planes to write: warped x and y gradient, 1 / squared gradient, and the constant
            part of the residual, warped - gradient . flow - first.
        line: float32 (W, 4), overwritten.
    """
    u1, u2 = flow[0], flow[1]
    gx, gy, inverse, rho = data
    height, width = first.shape
    for y in range(height):
        _sample_row(y, width, u1, u2, packed, weights, line)
        for x in range(width):
            dx, dy = line[x, 1], line[x, 2]
            gx[y, x] = dx
            gy[y, x] = dy
            inverse[y, x] = np.float32(1) / max(dx * dx + dy * dy, _TINY)
            rho[y, x] = ((line[x, 0] - dx * u1[y, x]) - dy * u2[y, x]) - first[y, x]
