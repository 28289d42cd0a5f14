import numpy as np
import pytest

from tsn.flow.features import MATCH_WINDOW, detect_features, match_features, move_corners

SIZE = (120, 160)


@pytest.fixture
def pair(render):
    """Features of two frames between which everything moves by (6.3, -3.6) px, and that motion."""
    moved = np.array([6.3, -3.6])
    return detect_features(render(*SIZE)), detect_features(render(*SIZE, tuple(moved))), moved


def test_matches_are_precise_to_a_fraction_of_a_pixel(pair):
    first, second, moved = pair
    source, target = match_features(first, second)
    wrong = np.hypot(*(target - source - moved).T)
    assert len(source) > 60
    # Whole px alone would be .38 px away.
    assert np.median(wrong) < 0.25
    assert (wrong < 0.5).mean() > 0.8


def test_a_frame_matches_itself_exactly(render):
    features = detect_features(render(*SIZE))
    source, target = match_features(features, features)
    assert len(source) == len(features.points)
    np.testing.assert_allclose(target, source, atol=0.05)


def test_matching_knows_no_difference_in_brightness_and_contrast(pair, render):
    first, second, _ = pair
    darker = detect_features((0.5 * render(*SIZE, (6.3, -3.6)) + 20).round().astype(np.uint8))
    assert len(match_features(first, darker)[0]) > 0.8 * len(match_features(first, second)[0])


@pytest.mark.parametrize(("away", "found"), [(MATCH_WINDOW - 1, True), (MATCH_WINDOW + 6, False)])
def test_matches_lie_within_the_window(render, away, found):
    first, second = (detect_features(render(*SIZE, (shift, 0))) for shift in (0, away))
    source, target = match_features(first, second)
    right = np.hypot(*(target - source - (away, 0)).T) < 1
    assert (right.sum() > 40) == found
    assert not len(source) or np.abs(target - source).max() <= MATCH_WINDOW + 4


def test_corners_follow_the_flow(pair):
    first, second, moved = pair
    flow = np.broadcast_to(moved[:, None, None], (2, *SIZE)).astype(np.float32)
    source, target = move_corners(first, second, flow)
    np.testing.assert_allclose(target - source, np.tile(moved, (len(source), 1)), atol=1e-4)
    assert len(source) > 0.7 * len(first.points)


def test_corners_that_a_wrong_flow_moves_are_left_out(pair):
    first, second, moved = pair
    flow = np.broadcast_to(moved[:, None, None], (2, *SIZE)).astype(np.float32).copy()
    flow[:, :, 80:] = -2
    source, _ = move_corners(first, second, flow)
    assert (source[:, 0] < 80).sum() > 0.7 * (first.points[:, 0] < 80).sum()
    assert (source[:, 0] >= 80).sum() < 0.1 * (first.points[:, 0] >= 80).sum()


@pytest.mark.parametrize("size", [(1, 1), (4, 9), SIZE])
def test_without_structure_there_is_nothing_to_match(size):
    blank = detect_features(np.full(size, 77, np.uint8))
    for points in match_features(blank, blank) + move_corners(blank, blank, np.zeros((2, *size))):
        assert points.shape == (0, 2)
        assert points.dtype == np.float32
