"""The native engine and its parts against OpenCV, whose method it is."""

import hashlib
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from tests.flow.opencv_cuda_reference import reference_flow
from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.cpu_engine import VERSION
from tsn.flow.cpu.pyramid import Resize, level_sizes
from tsn.flow.cpu.warp import MARGIN, cubic, pack, repeat_edges, warp
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1


def end_point_difference(a, b):
    return np.hypot(*np.moveaxis(a - b, 1, 0))


@pytest.mark.parametrize(
    "params",
    [
        TVL1Params(),
        TVL1Params(median_filter=5),
        TVL1Params(gamma=0.2),
        TVL1Params(
            pyramid_levels=3, scale_step=0.5, warps=2, iterations=30, lambda_=0.05, theta=0.2
        ),
        TVL1Params(epsilon=0.0, iterations=30),
    ],
)
def test_flow_agrees_with_opencv_at_equal_parameters(render, tolerance, params):
    frames = np.stack([render(72, 96, (1.7 * t, 0.8 * t)) for t in range(3)])
    # A second motion, so that there are edges in the flow.
    for t in range(3):
        frames[t, 20:50, 30 - t : 70 - t] = render(72, 96, seed=1)[20:50, 30:70]
    native, opencv = (TVL1(params, backend)(frames) for backend in ("native_cpu", "opencv"))
    assert end_point_difference(native, opencv).mean() <= tolerance
    away = np.abs(quantise(native).astype(int) - quantise(opencv))
    assert (away <= 1).mean() >= 0.995


@pytest.mark.parametrize(
    "params",
    [
        TVL1Params(variant="opencv_cuda"),
        TVL1Params(variant="opencv_cuda", gamma=0.2, iterations=60),
        TVL1Params(variant="opencv_cuda", epsilon=0.0, iterations=30, scale_step=0.5),
    ],
)
def test_the_variant_of_opencv_cuda_is_a_reimplementation_of_it(render, params):
    frames = np.stack([render(72, 96, (1.7 * t, 0.8 * t)) for t in range(3)])
    for t in range(3):
        frames[t, 20:50, 30 - t : 70 - t] = render(72, 96, seed=1)[20:50, 30:70]
    native = TVL1(params, "native_cpu")(frames)
    reference = np.stack([reference_flow(*pair, params) for pair in pairwise(frames)])
    assert end_point_difference(native, reference).mean() < 2e-4
    cpu = TVL1(replace(params, variant="opencv"), "native_cpu")(frames)
    assert end_point_difference(cpu, reference).mean() > 0.02


def test_the_numbers_are_those_of_the_version():
    t, y, x = np.mgrid[:2, :60, :79]
    frames = (((x + 2 * t) ** 2 // 9 + (y - t) * (x + 2 * t) // 11) % 251).astype(np.uint8)
    flow = TVL1(TVL1Params(median_filter=5, gamma=0.1), "native_cpu")(frames)
    found = VERSION, hashlib.sha256(flow.tobytes()).hexdigest()
    assert found == ("1", "38ec751cf38b0fe27301abe3f7f9bb3b79d2d8cfa43d3df9a1280d3944248326")


def test_the_median_filter_changes_the_flow(render):
    frames = np.stack([render(48, 64), render(48, 64, (2.0, 1.0))])
    plain, filtered = (TVL1(TVL1Params(median_filter=m), "native_cpu")(frames) for m in (1, 5))
    assert np.abs(plain - filtered).max() > 1e-3


@pytest.mark.parametrize("size", [(16, 16), (33, 47), (205, 272)])
def test_resizing_is_opencvs_linear_resize(size):
    image = np.random.default_rng(0).uniform(0, 255, size).astype(np.float32)
    smaller = cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_LINEAR)
    down = np.zeros_like(smaller)
    Resize.between(size, smaller.shape, 1.25)(image, down)
    np.testing.assert_allclose(down, smaller, atol=2e-3)
    up = np.zeros_like(image)
    Resize.between(smaller.shape, size)(smaller, up, 2.0)
    np.testing.assert_allclose(up, 2 * cv2.resize(smaller, size[::-1]), atol=4e-3)


def test_the_cuda_modules_resizing_has_pixel_0_on_pixel_0():
    image = np.float32([[0, 10, 20, 30]])
    smaller = np.zeros((1, 2), np.float32)
    Resize.between((1, 4), (1, 2), 1.5, centred=False)(image, smaller)
    np.testing.assert_allclose(smaller, [[0, 15]])
    same = np.zeros_like(image)
    Resize.between((1, 4), (1, 4), 1.1, centred=False)(image, same)
    np.testing.assert_array_equal(same, image)


def test_levels_end_before_a_side_falls_below_16_px():
    # OpenCV: 340 x 256 at step 0.8 has 5 levels; 20 x 30 has 20 -> 16 -> 13, so two.
    five = [(256, 340), (205, 272), (164, 218), (131, 174), (105, 139)]
    assert level_sizes(256, 340, 5, 0.8) == five
    assert level_sizes(20, 30, 5, 0.8) == [(20, 30), (16, 24)]
    assert level_sizes(3, 300, 5, 0.8) == [(3, 300)]


@pytest.mark.parametrize(("a", "outside"), [(-0.75, "constant"), (-0.5, "edge")])
def test_warping_is_cubic_with_zero_or_the_edge_outside(a, outside):
    # Reference: interpolateCubic in OpenCV's imgproc, evaluated in float64.
    rng = np.random.default_rng(0)
    height, width = 30, 40
    image = cv2.GaussianBlur(rng.uniform(0, 255, (height, width)), (0, 0), 1.5).astype(np.float32)
    u1, u2 = rng.normal(0, 6, (2, height, width)).astype(np.float32)
    u1[0, :4] = (-1e9, 1e9, -500, 500)
    gradients = np.gradient(image.astype(float))
    for axis, gradient in enumerate(gradients):
        # At the edges OpenCV halves the difference to the only neighbour.
        gradient[tuple(np.s_[[0, -1]] if k == axis else np.s_[:] for k in range(2))] /= 2

    packed = np.zeros((height + 2 * MARGIN, width + 2 * MARGIN, 4), np.float32)
    pack(image, packed)
    if outside == "edge":
        repeat_edges(packed)
    gx, gy, inverse, rho = np.zeros((4, height, width), np.float32)
    buffers = np.empty(width, np.int32), np.empty((8, width), np.float32)
    line = np.empty(4 * width, np.float32)
    warp(np.zeros_like(image), packed, cubic(a), u1, u2, gx, gy, inverse, rho, *buffers, line)

    y, x = np.mgrid[:height, :width].astype(np.float32)
    planes = image, *gradients[::-1]
    expected = [_cubic(plane, x + u1, y + u2, a, outside) for plane in planes]
    for found, wanted in zip((rho + gx * u1 + gy * u2, gx, gy), expected, strict=True):
        np.testing.assert_allclose(found[1:], wanted[1:], atol=2e-3)
    if outside == "constant":
        assert not gx[0, :4].any()
    np.testing.assert_allclose(inverse, 1 / np.maximum(gx**2 + gy**2, 2**-23), rtol=1e-5)


def _cubic(image, x, y, a, outside):
    def taps(t):
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
        opposite = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) ** 2 + 1
        return far, near, opposite, 1 - far - near - opposite

    x, y = x.clip(-20, 70).astype(float), y.clip(-20, 60).astype(float)
    padded = np.pad(image.astype(float), 40, outside)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    return sum(
        wy * wx * padded[top + r + 39, left + c + 39]
        for r, wy in enumerate(taps(y - top))
        for c, wx in enumerate(taps(x - left))
    )
