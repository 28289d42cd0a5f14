import numpy as np
import pytest

from tsn.flow.features import detect_features
from tsn.flow.overlay import find_overlay
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow

HEIGHT, WIDTH = 120, 160


def pan(render, count=7):
    return [render(HEIGHT, WIDTH, (-1.8 * t, 0.9 * t)) for t in range(count)]


def with_logo(frames, render):
    """A logo and a ticker, textured more strongly than the scene, that belong to the screen."""
    screen = render(HEIGHT, WIDTH, seed=9).astype(float)
    screen = ((screen - 128) * 3 + 128).clip(0, 255).astype(np.uint8)
    drawn = [frame.copy() for frame in frames]
    for frame in drawn:
        frame[6:24, 120:154] = screen[6:24, 120:154]
        frame[104:118, 4:156] = screen[104:118, 4:156]
    return drawn


def with_borders(frames):
    framed = [frame.copy() for frame in frames]
    for frame in framed:
        frame[:, :20] = frame[:, -20:] = 16
    return framed


def test_a_logo_and_a_ticker_in_a_pan_are_found_and_the_scene_is_not(render):
    overlay = find_overlay(with_logo(pan(render), render))
    assert overlay[8:22, 122:152].mean() > 0.95
    assert overlay[106:116, 8:152].mean() > 0.95
    assert not overlay[32:96].any()


def test_borders_of_one_colour_are_found(render):
    overlay = find_overlay(with_borders(pan(render)))
    assert overlay[:, :20].all() and overlay[:, -20:].all()
    assert not overlay[:, 32:-32].any()


def test_a_pan_without_overlays_has_none(render):
    assert find_overlay(pan(render)) is None


def test_on_a_tripod_nothing_is_an_overlay_however_large_the_foreground(render):
    scene = render(HEIGHT, WIDTH)
    for width in (40, 90):
        frames = []
        for t in range(7):
            frame = scene.copy()
            frame[10:110, 20 : 20 + width] = render(HEIGHT, WIDTH, (2.0 * t, t), seed=4)[
                10:110, 20 : 20 + width
            ]
            frames.append(frame)
        assert find_overlay(with_logo(frames, render)) is None


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_few_frames_do_not_tell(render, count):
    assert find_overlay(with_logo(pan(render), render)[:count]) is None


def test_features_lie_outside_of_overlays(render):
    frame = with_logo(pan(render, 1), render)[0]
    overlay = np.zeros((HEIGHT, WIDTH), bool)
    overlay[100:] = True
    _, y = detect_features(frame, overlay).points.T
    assert len(y) > 20
    assert y.max() < 100


def test_a_pan_behind_overlays_is_undone(render):
    frames = with_borders(with_logo(pan(render), render))
    overlay = find_overlay(frames)
    tvl1 = TVL1(backend="native_cpu")
    clip = np.stack(frames[:3])
    flow = dequantise(quantise(tvl1(clip)))
    scene = np.s_[:, 36:92, 36:-36]
    undone, motions = WarpedFlow(tvl1).with_camera_motion(clip, flow, overlay)
    assert all(motion.accepted for motion in motions)
    for motion in motions:
        np.testing.assert_allclose(motion.homography[:2, 2], [-1.8, 0.9], atol=0.4)
    assert np.median(np.hypot(undone[:, 0], undone[:, 1])[scene]) < 0.15
