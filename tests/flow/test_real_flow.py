"""TV-L1 on real clips and on Middlebury's ground truth, where there are some."""

from itertools import islice

import av
import cv2
import numpy as np
import pytest

from tests.real_data import CLIPS, MIDDLEBURY
from tsn.config.tvl1_params import TVL1Params
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1

pytestmark = pytest.mark.slow


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs clips of UCF101: TSN_TEST_DATA")
def test_native_flow_of_real_clips_agrees_with_opencv(tolerance):
    native, opencv = [], []
    for name in (
        "BasketballDunk/v_BasketballDunk_g01_c01",
        "PlayingViolin/v_PlayingViolin_g01_c01",
    ):
        with av.open(CLIPS / f"{name}.avi") as container:
            decoded = islice(container.decode(video=0), 2)
            frames = [frame.to_ndarray(format="gray") for frame in decoded]
        frames = np.stack([cv2.resize(frame, (340, 256)) for frame in frames])
        native.append(TVL1(backend="native_cpu")(frames))
        opencv.append(TVL1(backend="opencv")(frames))
    native, opencv = np.concatenate(native), np.concatenate(opencv)
    assert np.hypot(*np.moveaxis(native - opencv, 1, 0)).mean() <= tolerance
    away = np.abs(quantise(native).astype(int) - quantise(opencv))
    assert (away <= 1).mean() >= 0.995


@pytest.mark.skipif(not MIDDLEBURY.is_dir(), reason="no Middlebury data beside the repository")
@pytest.mark.parametrize(
    # Mean end-point error of cv2.optflow with its defaults (median filter 5), in px.
    ("scene", "opencv"),
    [("Dimetrodon", 0.181), ("Grove2", 0.157), ("Hydrangea", 0.193)],
)
def test_the_native_error_on_middlebury_is_at_most_two_percent_above_opencvs(scene, opencv):
    folder = MIDDLEBURY / scene
    frames = np.stack([cv2.imread(str(folder / f"frame1{k}.png"), 0) for k in (0, 1)])
    truth = _read_flo(folder / "flow10.flo")
    flow = TVL1(TVL1Params(median_filter=5), "native_cpu")(frames)[0]
    # Unknown motion is marked by values above 1e9.
    known = (np.abs(truth) < 1e9).all(axis=0)
    assert np.hypot(*(flow - truth))[known].mean() <= 1.02 * opencv


def _read_flo(path):
    data = path.read_bytes()
    width, height = np.frombuffer(data, "<i4", 2, 4)
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2).transpose(2, 0, 1)
