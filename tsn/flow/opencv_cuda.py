"""TV-L1 by OpenCV's CUDA module, which pip's OpenCV does not contain."""

import cv2
import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.engine import Workers
from tsn.flow.opencv import as_opencv_frame
from tsn.runtime.errors import UserError

_STREAMS = 4
"""Pairs in flight at least: one alone leaves a large GPU idle."""


def why_unavailable() -> str | None:
    """Return why this OpenCV cannot compute TV-L1 on a GPU, or None if it can."""
    if not hasattr(getattr(cv2, "cuda", None), "OpticalFlowDual_TVL1_create"):
        return "the installed OpenCV was built without its CUDA optical flow module"
    devices = cv2.cuda.getCudaEnabledDeviceCount()
    if devices < 0:
        return "the NVIDIA driver is missing or too old for the installed OpenCV"
    if devices == 0:
        return "the installed OpenCV was built without CUDA or finds no CUDA device"
    return None


class OpenCVCudaEngine:
    """TV-L1 of OpenCV's cudaoptflow module; see `tsn.flow.engine.Engine` for its interface.

    Make one only where `why_unavailable` gives None.

    Args:
        params: Parameters of the method; it has no median filter.
        threads: Pairs in flight, each on a CUDA stream of its own; at least four are used.

    Raises:
        UserError: A median filter is asked for.
    """

    implementation = "cv2.cuda"
    version = cv2.__version__

    def __init__(self, params: TVL1Params, threads: int) -> None:
        if params.median_filter > 1:
            raise UserError(
                f"TV-L1 backend opencv_cuda has no median filter: set median_filter to 1 instead "
                f"of {params.median_filter}, or use backend native or opencv"
            )
        self._params = params
        self._workers = Workers(max(threads, _STREAMS), chunk=8)

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W)."""
        return self._run(frames, frames[1:], shared=True)

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the flow (N, 2, H, W) from first to second (N, H, W)."""
        return self._run(first, second, shared=False)

    def _run(self, first: np.ndarray, second: np.ndarray, shared: bool) -> np.ndarray:
        out = np.empty((len(second), 2, *second.shape[1:]), np.float32)

        def work(begin: int, end: int) -> None:
            lane = self._workers.state(first.shape[1:], lambda: _Lane(self._params))
            following = None
            for n in range(begin, end):
                previous = following if shared and following is not None else lane.upload(first[n])
                following = lane.upload(second[n])
                out[n] = lane.flow(previous, following)

        self._workers.run(len(out), work)
        return out


class _Lane:
    """A CUDA stream with an OpenCV method object of its own, which holds its buffers."""

    def __init__(self, params: TVL1Params) -> None:
        self._stream = cv2.cuda.Stream()
        self._method = cv2.cuda.OpticalFlowDual_TVL1_create(  # type: ignore[attr-defined]
            params.tau,
            params.lambda_,
            params.theta,
            params.pyramid_levels,
            params.warps,
            params.epsilon,
            params.iterations,
            params.scale_step,
            params.gamma,
            False,  # an initial flow, which OpenCV's method never reads
        )

    def upload(self, frame: np.ndarray) -> "cv2.cuda.GpuMat":
        on_device = cv2.cuda.GpuMat()
        on_device.upload(as_opencv_frame(frame), self._stream)
        return on_device

    def flow(
        self,
        first: "cv2.cuda.GpuMat",
        second: "cv2.cuda.GpuMat",
    ) -> np.ndarray:
        result = self._method.calc(first, second, None, self._stream)
        on_host = result.download(self._stream)
        self._stream.waitForCompletion()
        return on_host.transpose(2, 0, 1)
