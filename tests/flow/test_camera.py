import cv2
import numpy as np
import pytest

from tsn.flow.camera import BORDER, estimate_homography, warp_to_previous
from tsn.flow.features import detect_features
from tsn.flow.quantise import dequantise, quantise

SIZE = (120, 160)


def corner_error(found, true):
    height, width = SIZE
    corners = np.array([[[0, 0]], [[width, 0]], [[0, height]], [[width, height]]], float)
    apart = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    return np.hypot(*apart.reshape(-1, 2).T).max()


def flow_of(homography):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    mapped = cv2.perspectiveTransform(np.stack([x, y], -1), homography)
    return np.stack([mapped[..., 0] - x, mapped[..., 1] - y]).astype(np.float32)


def seen_through(frame, homography):
    """The frame after the camera moved by the homography."""
    return cv2.warpPerspective(frame, homography, SIZE[::-1], flags=cv2.INTER_CUBIC)


@pytest.fixture
def homography():
    turn, zoom = 0.02, 1.01
    return np.array(
        [
            [zoom * np.cos(turn), -zoom * np.sin(turn), 3.2],
            [zoom * np.sin(turn), zoom * np.cos(turn), -2.4],
            [2e-5, -1e-5, 1.0],
        ]
    )


def test_a_known_camera_motion_is_found(render, homography):
    prev = render(*SIZE)
    camera = estimate_homography(prev, seen_through(prev, homography), flow_of(homography))
    assert camera.accepted
    assert camera.inliers > 100
    assert corner_error(camera.homography, homography) < 0.2


def test_a_wrong_flow_of_a_third_of_the_frame_is_outvoted(render, homography):
    prev = render(*SIZE)
    flow = flow_of(homography)
    flow[:, :40] += 7
    camera = estimate_homography(prev, seen_through(prev, homography), flow)
    assert corner_error(camera.homography, homography) < 0.3


def test_features_alone_find_the_motion_when_the_flow_is_noise(render, homography):
    prev = render(*SIZE)
    noise = np.random.default_rng(0).normal(0, 15, (2, *SIZE)).astype(np.float32)
    camera = estimate_homography(prev, seen_through(prev, homography), noise)
    assert corner_error(camera.homography, homography) < 1.0


@pytest.mark.parametrize("shift", [(23.6, 2.3), (-22.2, -1.7)])
def test_a_motion_beyond_the_stored_range_is_found(render, shift):
    # The flow knows it at half its length, as where TV-L1 gets stuck or the bound cuts it off.
    prev, homography = render(*SIZE), np.array([[1, 0, shift[0]], [0, 1, shift[1]], [0, 0, 1.0]])
    flow = dequantise(quantise(flow_of(homography), bound=10), bound=10)
    camera = estimate_homography(prev, render(*SIZE, shift), flow)
    assert corner_error(camera.homography, homography) < 0.3


def test_flow_needs_no_more_precision_than_its_bytes_have(render, homography):
    prev = render(*SIZE)
    cur, flow = seen_through(prev, homography), flow_of(homography)
    stored = estimate_homography(prev, cur, dequantise(quantise(flow)))
    assert corner_error(stored.homography, homography) < 0.1


def foreground_over(background, patch):
    frame = background.copy()
    frame[10:110, 70:150] = patch[10:110, 70:150]
    return frame


def test_a_large_foreground_does_not_move_a_camera_that_stands_still(render):
    # Half of the frame, and more than half of its texture, drifts as a body does.
    background = render(*SIZE)
    background[:, :70] = (background[:, :70] // 4) + 90
    drift = (0.6, -0.3)
    prev = foreground_over(background, render(*SIZE, seed=3))
    cur = foreground_over(background, render(*SIZE, drift, seed=3))
    flow = np.zeros((2, *SIZE), np.float32)
    flow[:, 10:110, 70:150] = np.array(drift)[:, None, None]
    for motion in (flow, dequantise(quantise(flow))):
        camera = estimate_homography(prev, cur, motion)
        assert not camera.accepted
        np.testing.assert_array_equal(camera.homography, np.eye(3))


@pytest.mark.parametrize("length", [0.15, 0.3])
def test_a_slow_pan_is_not_taken_for_stillness(render, length):
    pan = np.array([[1, 0, 0.8 * length], [0, 1, -0.6 * length], [0, 0, 1]])
    cur = render(*SIZE, (0.8 * length, -0.6 * length))
    camera = estimate_homography(render(*SIZE), cur, dequantise(quantise(flow_of(pan))))
    assert camera.accepted
    assert corner_error(camera.homography, pan) < 0.1


def test_noise_does_not_move_a_camera_that_stands_still(render):
    rng = np.random.default_rng(0)
    prev, cur = (
        (render(*SIZE) + rng.normal(0, 2, SIZE)).clip(0, 255).astype(np.uint8) for _ in range(2)
    )
    flow = rng.normal(0, 0.05, (2, *SIZE)).astype(np.float32)
    assert not estimate_homography(prev, cur, dequantise(quantise(flow))).accepted


def test_given_features_give_the_same_estimate(render, homography):
    prev = render(*SIZE)
    cur, flow = seen_through(prev, homography), flow_of(homography)
    features = detect_features(prev), detect_features(cur)
    given, found = (estimate_homography(prev, cur, flow, f) for f in (features, None))
    np.testing.assert_array_equal(given.homography, found.homography)


def test_an_estimate_does_not_depend_on_earlier_random_numbers(render, homography):
    prev = render(*SIZE)
    cur, flow = seen_through(prev, homography), flow_of(homography)
    estimates = []
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        estimates.append(estimate_homography(prev, cur, flow).homography)
    np.testing.assert_array_equal(*estimates)


@pytest.mark.parametrize("size", [(1, 1), (4, 9), SIZE])
def test_without_structure_the_camera_counts_as_still(size):
    blank = np.full(size, 77, np.uint8)
    camera = estimate_homography(blank, blank, np.zeros((2, *size), np.float32))
    assert not camera.accepted
    np.testing.assert_array_equal(camera.homography, np.eye(3))


def test_few_supporters_are_not_enough(render):
    # Corners that all move differently: no homography has more than 25 of them.
    prev = render(*SIZE)
    cur = render(*SIZE, seed=9)
    noise = np.random.default_rng(0).uniform(-60, 60, (2, *SIZE)).astype(np.float32)
    camera = estimate_homography(prev, cur, noise)
    assert camera.inliers <= 25
    assert not camera.accepted
    np.testing.assert_array_equal(camera.homography, np.eye(3))


def test_warping_undoes_the_camera_and_fills_the_rest_from_the_previous_frame(render, homography):
    prev = render(*SIZE)
    cur = seen_through(prev, homography)
    stabilised = warp_to_previous(prev, cur, homography)
    assert stabilised.dtype == np.uint8
    assert np.abs(stabilised.astype(int) - prev).mean() < 1.5
    assert np.abs(cur.astype(int) - prev).mean() > 5


def test_warping_interpolates_linearly(render, homography):
    prev = render(*SIZE)
    cur = seen_through(prev, homography)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(float)
    place = cv2.perspectiveTransform(np.stack([x, y], -1), homography).astype(np.float32)
    expected = cv2.remap(cur.astype(np.float32), place, None, cv2.INTER_LINEAR)
    apart = np.abs(warp_to_previous(prev, cur, homography) - expected)[12:-12, 12:-12]
    # OpenCV 4 rounds places to 1/32 px.
    assert np.median(apart) <= 0.5
    assert apart.max() < 3


def test_what_lies_behind_the_camera_comes_from_the_previous_frame(render):
    prev, cur = render(*SIZE), render(*SIZE, seed=1)
    behind = -np.eye(3)
    np.testing.assert_array_equal(warp_to_previous(prev, cur, behind), prev)


def test_pixels_near_the_border_come_from_the_previous_frame():
    prev, cur = np.full(SIZE, 10, np.uint8), np.full(SIZE, 200, np.uint8)
    shift = np.array([[1, 0, 4.0], [0, 1, 0], [0, 0, 1]])
    stabilised = warp_to_previous(prev, cur, shift)
    kept = np.zeros(SIZE, bool)
    # x + 4 must lie within [5, width - 1 - 5].
    kept[BORDER:-BORDER, BORDER - 4 : -BORDER - 4] = True
    np.testing.assert_array_equal(stabilised, np.where(kept, 200, 10))
