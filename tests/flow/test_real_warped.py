"""Warped flow on real clips, where there are some."""

from itertools import islice

import cv2
import numpy as np
import pytest

from tests.real_data import CLIPS
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.video.decode import read_frames

WIDTH, HEIGHT = 340, 256

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLIPS.is_dir(), reason="needs clips of UCF101: TSN_TEST_DATA"),
]


def frames_of(name, first, count):
    frames = read_frames(CLIPS / f"{name}.avi", (WIDTH, HEIGHT), "grey")
    return np.stack(list(islice(frames, first, first + count)))


def stored_flow(tvl1, frames):
    return dequantise(quantise(tvl1(frames)))


@pytest.mark.parametrize(
    # Both were filmed from a tripod; the player fills a third of the first.
    "name",
    ["PlayingViolin/v_PlayingViolin_g04_c01", "PlayingPiano/v_PlayingPiano_g04_c01"],
)
def test_on_a_tripod_warped_flow_is_the_plain_flow(name):
    tvl1 = TVL1(backend="native_cpu")
    frames = frames_of(name, 0, 4)
    flow = stored_flow(tvl1, frames)
    np.testing.assert_array_equal(WarpedFlow(tvl1)(frames, flow), flow)


@pytest.mark.parametrize(
    ("shift", "turn", "zoom"),
    [((5.3, -2.8), 0, 1), ((0, 0), 0, 1.02), ((0, 0), 1.2, 1), ((22.5, 1.5), 0, 1)],
    ids=["pan", "zoom", "turn", "beyond the stored range"],
)
def test_a_known_camera_motion_is_undone(shift, turn, zoom):
    still = frames_of("PlayingPiano/v_PlayingPiano_g11_c01", 8, 1)[0]
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), turn, zoom)
    matrix[:, 2] += shift
    moved = cv2.warpAffine(
        still, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    frames, tvl1 = np.stack([still, moved]), TVL1(backend="native_cpu")
    flow = stored_flow(tvl1, frames)
    plain, warped = (np.hypot(*motion[0]) for motion in (flow, WarpedFlow(tvl1)(frames, flow)))
    assert np.median(plain) > 1
    assert np.median(warped) < 0.1
