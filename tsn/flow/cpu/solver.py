"""The inner loop of TV-L1: primal and dual updates until the flow has converged.

Primal and dual variables are updated in one sweep over the rows, and several iterations follow
each other through the rows, one row apart, so that their data stay in the processor's cache.
Nothing here is reassociated or contracted by the compiler (no fast-math), and the error is summed
column by column, so the result is the same for every vector width.

Planes are float32 arrays (rows, stride) of which the first `width` columns are the image; the
x component of a dual variable starts `PAD` columns to the right, behind a column of zeros, and
the y component one row below, under a row of zeros. Rows are worked through to a full multiple of
`PAD`, so that no vector loop has a remainder: the columns beyond the image hold no data term and
nothing within the image depends on them.
"""

import math

import numpy as np
from numba import njit

PAD = 16
"""Columns before the x component of a dual variable: one cache line of float32."""

MAX_BLOCK = 8
"""Most iterations in flight in one sweep: beyond it the sweep gains less than 2 %."""

_ONE = np.float32(1)


@njit(nogil=True, cache=True, error_model="numpy")
def _update_flow_row(
    y, padded, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho, error, k, step,
    theta, gamma, sparse,
):  # fmt: skip
    """Threshold the data term and add the divergence in row y; add squared changes to error[k]."""
    for x in range(padded):
        a, b = u1[y, x], u2[y, x]
        residual = rho[y, x] + (gx[y, x] * a + gy[y, x] * b)
        if u3 is not None:
            residual += gamma * u3[y, x]
        shift = -residual * inverse[y, x]
        shift = shift if shift < step else step
        shift = shift if shift > -step else -step
        new_a = a + shift * gx[y, x]
        new_a += theta * ((p11[y, x + PAD] - p11[y, x + PAD - 1]) + (p12[y + 1, x] - p12[y, x]))
        new_b = b + shift * gy[y, x]
        new_b += theta * ((p21[y, x + PAD] - p21[y, x + PAD - 1]) + (p22[y + 1, x] - p22[y, x]))
        u1[y, x] = new_a
        u2[y, x] = new_b
        change = (new_a - a) * (new_a - a) + (new_b - b) * (new_b - b)
        if u3 is not None:
            c = u3[y, x]
            new_c = c + shift * gamma
            new_c += theta * ((p31[y, x + PAD] - p31[y, x + PAD - 1]) + (p32[y + 1, x] - p32[y, x]))
            u3[y, x] = new_c
            if not sparse:
                change += (new_c - c) * (new_c - c)
        error[k, x] += change


@njit(nogil=True, cache=True, error_model="numpy")
def _update_dual_row(y, below, width, padded, u, px, py, taut):
    """Ascend the dual variable (px, py) of one flow component along its forward gradient."""
    # The gradient across the right edge is zero.
    u[y, width] = u[y, width - 1]
    for x in range(padded):
        dx = u[y, x + 1] - u[y, x]
        dy = u[below, x] - u[y, x]
        shrink = _ONE / (_ONE + taut * math.sqrt(dx * dx + dy * dy))
        px[y, x + PAD] = (px[y, x + PAD] + taut * dx) * shrink
        py[y + 1, x] = (py[y + 1, x] + taut * dy) * shrink


@njit(nogil=True, cache=True, error_model="numpy")
def _sweep(
    count, height, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho, errors,
    step, theta, taut, gamma, sparse,
):  # fmt: skip
    """Run `count` iterations in one pass over the rows, the k-th one k rows behind the first."""
    padded = width + -width % PAD
    errors[:count] = 0
    for front in range(height + count):
        for k in range(count):
            y = front - k
            if 0 <= y < height:
                _update_flow_row(
                    y, padded, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho,
                    errors, k, step, theta, gamma, sparse,
                )  # fmt: skip
            above = y - 1
            if 0 <= above < height:
                # The gradient across the lower edge is zero.
                below = min(y, height - 1)
                _update_dual_row(above, below, width, padded, u1, p11, p12, taut)
                _update_dual_row(above, below, width, padded, u2, p21, p22, taut)
                if u3 is not None:
                    _update_dual_row(above, below, width, padded, u3, p31, p32, taut)


@njit(nogil=True, cache=True)
def _block_size(error, threshold, most):
    """Iterations to run before the error is checked again.

    As many as it takes to converge if each halved the error. It falls more slowly than that, so
    the iterations end where they would with a check after each (measured on real clips: the same
    flow, bit for bit; assuming a fall to 0.7 instead ends some too late).
    """
    if threshold <= 0:
        return min(MAX_BLOCK, most)
    if error == math.inf:
        return 1
    return max(1, min(int(math.log2(error / threshold)), MAX_BLOCK, most))


@njit(nogil=True, cache=True)
def _until_next_look(error, threshold, most):
    """Iterations after which OpenCV's CUDA version looks at the error again.

    It reduces the error by the threshold in each iteration, and looks in every second one if
    what is left is below the threshold.
    """
    return 2 * (int(min(most, error / threshold / 2)) + 1)


@njit(nogil=True, cache=True)
def iterate(
    height, width, flow, dual, illumination, data, errors, constants, threshold, most, sparse
):
    """Iterate on one warp of one level until it has converged, in place.

    Args:
        height: Rows of the level.
        width: Columns of the level.
        flow: Planes (u1, u2) in px of the level.
        dual: Planes (p11, p12, p21, p22), the dual variables of u1 and u2.
        illumination: Planes (u3, p31, p32), the illumination change and its dual; three times None
            without it.
        data: Planes (warped x gradient, warped y gradient, 1 / squared gradient, constant part
            of the residual) in grey levels.
        errors: float32 (MAX_BLOCK, stride), overwritten.
        constants: float32 lambda * theta, theta, tau / theta, and gamma, the weight of u3.
        threshold: Converged when the sum of squared changes in px^2 falls to this.
        most: Most iterations.
        sparse: Whether convergence is looked for after some iterations only, in the flow alone, as
            in OpenCV's CUDA version; else after each, and in the illumination change, too.

    Returns:
        The last sum of squared changes.
    """
    u1, u2 = flow
    u3, p31, p32 = illumination
    p11, p12, p21, p22 = dual
    gx, gy, inverse, rho = data
    step, theta, taut, gamma = constants
    error = math.inf
    done = 0
    look = 2 if threshold > 0 else most + 1
    while error > threshold and done < most:
        if sparse:
            count = min(look - done, MAX_BLOCK, most - done)
        else:
            count = _block_size(error, threshold, most - done)
        _sweep(
            count, height, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho,
            errors, step, theta, taut, gamma, sparse,
        )  # fmt: skip
        done += count
        if sparse and done < look:
            continue
        for k in range(count - 1 if sparse else 0, count):
            error = 0.0
            for x in range(width):
                error += errors[k, x]
            if error <= threshold:
                break
        if sparse:
            look = done + _until_next_look(error, threshold, most)
    return error
