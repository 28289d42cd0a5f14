"""The inner loop of TV-L1: primal and dual updates until the flow has converged.

Primal and dual variables are updated in one sweep over the rows, and several iterations follow
each other through the rows, one row apart, so that their data stay in the processor's cache.
Nothing here is reassociated or contracted by the compiler (no fast-math), and the error is summed
column by column, so the result is the same on every processor.

Planes are float32 arrays (rows, stride) of which the first `width` columns are the image; the
x component of a dual variable starts `PAD` columns to the right, behind a column of zeros, and
the y component one row below, under a row of zeros. The last vector of a row reaches beyond the
image, but no further than a multiple of `LANES`: the columns there hold no data term and nothing
within the image depends on them.
"""

import math

import numpy as np
from numba import njit

from tsn.runtime.lanes import LANES, load, prefetch, spread, store

PAD = LANES
"""Columns before the x component of a dual variable: one cache line of float32."""

MAX_BLOCK = 8
"""Most iterations in flight in one sweep: beyond it the sweep gains less than 2 %."""

_AHEAD = 128
"""Columns that the flow's update fetches ahead: processors do not follow a dozen planes by
themselves (measured: an iteration alone takes 14 % less, eight in flight 2 %)."""

_ONE = np.float32(1)

_inlined = njit(nogil=True, error_model="numpy", forceinline=True)


@_inlined
def _step(y, x, u, pull, px, py, theta):
    """Return u, pulled by the data term, and theta * the divergence of its dual variable."""
    across = load(px, y, x + PAD) - load(px, y, x + PAD - 1)
    down = load(py, y + 1, x) - load(py, y, x)
    return u + pull + theta * (across + down)


@_inlined
def _update_flow_row(
    y, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho, error, k, step,
    theta, gamma, sparse,
):  # fmt: skip
    """Threshold the data term and add the divergence in row y; add squared changes to error[k]."""
    for x in range(0, width, LANES):
        for plane in (u1, u2, p11, p21, gx, gy, inverse, rho):
            prefetch(plane, y, x + _AHEAD)
        for plane in (p12, p22):
            prefetch(plane, y + 1, x + _AHEAD)
        a, b = load(u1, y, x), load(u2, y, x)
        dx, dy = load(gx, y, x), load(gy, y, x)
        residual = load(rho, y, x) + (dx * a + dy * b)
        if u3 is not None:
            c = load(u3, y, x)
            residual = residual + gamma * c
        shift = max(min(-residual * load(inverse, y, x), step), -step)
        new_a = _step(y, x, a, shift * dx, p11, p12, theta)
        new_b = _step(y, x, b, shift * dy, p21, p22, theta)
        store(u1, y, x, new_a)
        store(u2, y, x, new_b)
        change = (new_a - a) * (new_a - a) + (new_b - b) * (new_b - b)
        if u3 is not None:
            new_c = _step(y, x, c, shift * gamma, p31, p32, theta)
            store(u3, y, x, new_c)
            if not sparse:
                change = change + (new_c - c) * (new_c - c)
        store(error, k, x, load(error, k, x) + change)


@_inlined
def _update_dual(y, below, x, u, px, py, taut, one):
    """Ascend the dual variable (px, py) of one flow component along its forward gradient."""
    here = load(u, y, x)
    dx, dy = load(u, y, x + 1) - here, load(u, below, x) - here
    shrink = one / (one + taut * math.sqrt(dx * dx + dy * dy))
    store(px, y, x + PAD, (load(px, y, x + PAD) + taut * dx) * shrink)
    store(py, y + 1, x, (load(py, y + 1, x) + taut * dy) * shrink)


@_inlined
def _update_dual_row(y, below, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, taut, one):
    # The gradient across the right edge is zero.
    u1[y, width], u2[y, width] = u1[y, width - 1], u2[y, width - 1]
    for x in range(0, width, LANES):
        _update_dual(y, below, x, u1, p11, p12, taut, one)
        _update_dual(y, below, x, u2, p21, p22, taut, one)
    if u3 is not None:
        u3[y, width] = u3[y, width - 1]
        for x in range(0, width, LANES):
            _update_dual(y, below, x, u3, p31, p32, taut, one)


@njit(nogil=True, cache=True, error_model="numpy")
def _sweep(
    count, height, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho, errors,
    step, theta, taut, gamma, sparse,
):  # fmt: skip
    """Run `count` iterations in one pass over the rows, the k-th one k rows behind the first."""
    step, theta, taut, gamma = spread(step), spread(theta), spread(taut), spread(gamma)
    one = spread(_ONE)
    errors[:count] = 0
    for front in range(height + count):
        for k in range(count):
            y = front - k
            if 0 <= y < height:
                _update_flow_row(
                    y, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, gx, gy, inverse, rho,
                    errors, k, step, theta, gamma, sparse,
                )  # fmt: skip
            if 0 < y <= height:
                # The gradient across the lower edge is zero.
                below = min(y, height - 1)
                _update_dual_row(
                    y - 1, below, width, u1, u2, u3, p11, p12, p21, p22, p31, p32, taut, one
                )


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
