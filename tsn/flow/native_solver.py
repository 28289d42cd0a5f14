"""The inner loop of TV-L1: primal and dual updates until the flow stands still.

Primal and dual variables are updated in one sweep over the rows, and several iterations follow
each other through the rows, one row apart, so that their data stay in the processor's cache.
Nothing here is reassociated or contracted by the compiler (no fast-math), and the error is summed
column by column, so the result is the same for every vector width.

Planes are float32 arrays (rows, stride) of which the first `width` columns are the image; the
x component of a dual variable starts `PAD` columns to the right, behind a column of zeros, and
the y component one row below, under a row of zeros.
"""

import math

import numpy as np
from numba import njit

from tsn.flow.native_median import median_5x5

PAD = 16
"""Columns before the x component of a dual variable: one cache line of float32."""

MAX_BLOCK = 8
"""Most iterations in flight in one sweep: beyond it the sweep gains less than 2 %."""

_ONE = np.float32(1)


@njit(nogil=True, cache=True, error_model="numpy")
def _update_flow_row(y, width, flow, dual, light, data, error, step, theta, gamma):
    """Threshold the data term and add the divergence in row y; add squared changes to error."""
    u1, u2 = flow
    p11, p12, p21, p22 = dual
    gx, gy, inverse, rho = data
    for x in range(width):
        a, b = u1[y, x], u2[y, x]
        residual = rho[y, x] + (gx[y, x] * a + gy[y, x] * b)
        if light is not None:
            residual += gamma * light[0][y, x]
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
        if light is not None:
            u3, p31, p32 = light
            c = u3[y, x]
            new_c = c + shift * gamma
            new_c += theta * ((p31[y, x + PAD] - p31[y, x + PAD - 1]) + (p32[y + 1, x] - p32[y, x]))
            u3[y, x] = new_c
            change += (new_c - c) * (new_c - c)
        error[x] += change


@njit(nogil=True, cache=True, error_model="numpy")
def _update_dual_row(y, below, width, u, px, py, taut):
    """Ascend the dual variable (px, py) of one flow component along its forward gradient."""
    # The gradient across the right edge is zero.
    u[y, width] = u[y, width - 1]
    for x in range(width):
        dx = u[y, x + 1] - u[y, x]
        dy = u[below, x] - u[y, x]
        shrink = _ONE / (_ONE + taut * math.sqrt(dx * dx + dy * dy))
        px[y, x + PAD] = (px[y, x + PAD] + taut * dx) * shrink
        py[y + 1, x] = (py[y + 1, x] + taut * dy) * shrink


@njit(nogil=True, cache=True, error_model="numpy")
def _update_duals(y, below, width, flow, dual, light, taut):
    _update_dual_row(y, below, width, flow[0], dual[0], dual[1], taut)
    _update_dual_row(y, below, width, flow[1], dual[2], dual[3], taut)
    if light is not None:
        _update_dual_row(y, below, width, light[0], light[1], light[2], taut)


@njit(nogil=True, cache=True, error_model="numpy")
def _sweep(count, height, width, flow, dual, light, data, errors, step, theta, taut, gamma):
    """Run `count` iterations in one pass over the rows, the k-th one k rows behind the first."""
    errors[:count] = 0
    for front in range(height + count - 1):
        for k in range(count):
            y = front - k
            if 0 <= y < height:
                _update_flow_row(y, width, flow, dual, light, data, errors[k], step, theta, gamma)
                if y > 0:
                    _update_duals(y - 1, y, width, flow, dual, light, taut)
                if y == height - 1:
                    # The gradient across the lower edge is zero.
                    _update_duals(y, y, width, flow, dual, light, taut)


@njit(nogil=True, cache=True)
def _block_size(error, previous, threshold, most):
    """Iterations to run before the error is looked at again.

    The error falls roughly geometrically, so the last ratio tells how many iterations it still
    needs; half of them are run unseen.
    """
    if not error < previous:
        return min(2, most)
    left = math.log(error / threshold) / math.log(previous / error) if threshold > 0 else 1e9
    return max(1, min(int(left * 0.5), MAX_BLOCK, most))


@njit(nogil=True, cache=True)
def solve(
    height,
    width,
    flow,
    dual,
    light,
    data,
    errors,
    scratch,
    step,
    theta,
    taut,
    gamma,
    epsilon,
    rounds,
):
    """Iterate one warp of one level to convergence, in place.

    Args:
        height: Rows of the level.
        width: Columns of the level.
        flow: Planes (u1, u2) in px of the level.
        dual: Planes (p11, p12, p21, p22), the dual variables of u1 and u2.
        light: Planes (u3, p31, p32), the illumination change and its dual; None without.
        data: Planes (warped x gradient, warped y gradient, 1 / squared gradient, constant part
            of the residual) in grey levels.
        errors: float32 (MAX_BLOCK, stride), overwritten.
        scratch: One float32 plane for the median filter, overwritten; None switches it off.
        step: lambda * theta, float32.
        theta: Coupling, float32.
        taut: tau / theta, float32.
        gamma: Weight of the illumination term, float32.
        epsilon: Converged when the root mean square change falls to this, in px.
        rounds: (most rounds, iterations per round); the median filter runs before each round.

    Returns:
        The number of iterations run.
    """
    threshold = epsilon * epsilon * height * width
    error = math.inf
    total = 0
    for _ in range(rounds[0]):
        if error <= threshold:
            break
        if scratch is not None:
            median_5x5(flow[0], height, width, scratch)
            median_5x5(flow[1], height, width, scratch)
        previous = 0.0
        done = 0
        while error > threshold and done < rounds[1]:
            count = _block_size(error, previous, threshold, rounds[1] - done)
            _sweep(count, height, width, flow, dual, light, data, errors, step, theta, taut, gamma)
            done += count
            for k in range(count):
                previous = error
                error = 0.0
                for x in range(width):
                    error += errors[k, x]
        total += done
    return total
