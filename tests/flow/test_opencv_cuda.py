"""The CUDA engine's bookkeeping, on a stand-in for `cv2.cuda` that computes on the CPU."""

import threading

import numpy as np
import pytest

from tsn.config.tvl1_params import TVL1Params
from tsn.flow import opencv_cuda
from tsn.flow.tvl1 import TVL1
from tsn.runtime.errors import UserError


class FakeCuda:
    """Flow is (next - prev, 0); every method object may serve one thread only."""

    def __init__(self):
        self.uploads = []
        fake = self

        class Stream:
            def waitForCompletion(self):
                pass

        class GpuMat:
            def upload(self, array, stream):
                assert isinstance(stream, Stream)
                fake.uploads.append(array.shape)
                self.array = np.array(array, np.float32)

            def download(self, stream):
                return self.array

        class Method:
            def __init__(self, arguments):
                self.arguments = arguments
                self.thread = threading.get_ident()

            def calc(self, first, second, flow, stream):
                assert threading.get_ident() == self.thread
                result = GpuMat()
                moved = second.array - first.array
                assert flow is None
                result.array = np.stack([moved, np.zeros_like(moved)], axis=-1)
                return result

        self.Stream, self.GpuMat = Stream, GpuMat
        self.created = []

        def create(*arguments):
            self.created.append(arguments)
            return Method(arguments)

        self.OpticalFlowDual_TVL1_create = create

    def getCudaEnabledDeviceCount(self):
        return 1


@pytest.fixture
def cuda(monkeypatch):
    fake = FakeCuda()
    monkeypatch.setattr(opencv_cuda.cv2, "cuda", fake)
    return fake


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (30, 6, 8)).astype(np.uint8)


def test_pairs_land_in_their_places_whatever_stream_computed_them(cuda, frames):
    expected = np.diff(frames.astype(np.float32), axis=0)
    np.testing.assert_array_equal(TVL1(backend="opencv_cuda")(frames)[:, 0], expected)
    pairs = TVL1(backend="opencv_cuda", threads=7).pairs(frames[:-1], frames[1:])
    np.testing.assert_array_equal(pairs[:, 0], expected)


def test_a_frame_is_uploaded_once_for_the_pairs_of_a_run(cuda, frames):
    TVL1(backend="opencv_cuda")(frames)
    # 29 pairs in runs of at most 8 for four streams: 4 runs, each with one frame more.
    assert len(cuda.uploads) == 29 + 4


def test_the_parameters_are_given_in_opencvs_order(cuda, frames):
    # cv2.cuda.OpticalFlowDual_TVL1_create: tau, lambda, theta, nscales, warps, epsilon,
    # iterations, scaleStep, gamma, useInitialFlow.
    params = TVL1Params(0.2, 0.1, 0.4, 3, 0.5, 2, 0.02, 90, 1, 0.1)
    TVL1(params, "opencv_cuda")(frames[:2])
    assert cuda.created == [(0.2, 0.1, 0.4, 3, 2, 0.02, 90, 0.5, 0.1, False)]


def test_floats_are_scaled_to_what_opencv_expects(cuda, frames):
    flow = TVL1(backend="opencv_cuda")(frames[:2].astype(np.float32))
    # OpenCV multiplies floats by 255; the stand-in does not.
    expected = (frames[1].astype(np.float32) - frames[0]) / 255
    np.testing.assert_allclose(flow[0, 0], expected, atol=1e-6)


def test_a_median_filter_is_refused(cuda):
    with pytest.raises(UserError, match="no median filter: set median_filter to 1 instead of 5"):
        TVL1(TVL1Params(median_filter=5), "opencv_cuda")


def test_auto_takes_it_where_it_is_the_variant(cuda):
    auto = TVL1(TVL1Params(variant="opencv_cuda"))
    assert auto.fingerprint == TVL1(backend="opencv_cuda").fingerprint
    assert auto.fingerprint["implementation"] == "cv2.cuda"
    assert TVL1().fingerprint["backend"] == "native"
