"""TV-L1 by `cv2.optflow` on the CPU: the reference the native engine is measured against."""

import cv2
import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.engine import Workers

_SMALLEST_SIDE = 3
"""OpenCV's gradients read beyond frames with a smaller side (its asserts are debug-only)."""


class OpenCVEngine:
    """TV-L1 of OpenCV's optflow module; see `tsn.flow.engine.Engine` for its interface.

    Args:
        params: Parameters of the method.
        threads: Pairs computed at the same time (cv2 releases the GIL).
    """

    implementation = "cv2.optflow"
    version = cv2.__version__

    def __init__(self, params: TVL1Params, threads: int) -> None:
        self._params = params
        self._workers = Workers(threads, chunk=1)

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W)."""
        return self.pairs(frames[:-1], frames[1:])

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the flow (N, 2, H, W) from first to second (N, H, W)."""
        out = np.empty((len(first), 2, *first.shape[1:]), np.float32)

        def work(begin: int, end: int) -> None:
            # The object keeps fewer scales after a small frame: one object per size.
            method = self._workers.state(first.shape[1:], self._create)
            for n in range(begin, end):
                out[n] = _calculate(method, first[n], second[n])

        self._workers.run(len(out), work)
        return out

    def _create(self) -> "cv2.optflow.DualTVL1OpticalFlow":
        params = self._params
        return cv2.optflow.DualTVL1OpticalFlow.create(
            tau=params.tau,
            lambda_=params.lambda_,
            theta=params.theta,
            nscales=params.pyramid_levels,
            warps=params.warps,
            epsilon=params.epsilon,
            innnerIterations=params.inner_iterations,
            outerIterations=params.outer_iterations,
            scaleStep=params.scale_step,
            gamma=params.gamma,
            medianFiltering=params.median_filter,
        )


def as_opencv_frame(frame: np.ndarray) -> np.ndarray:
    """Return a uint8 frame as it is and a float32 one divided by 255, the scale OpenCV wants."""
    return frame if frame.dtype == np.uint8 else frame / np.float32(255)


def _calculate(
    method: "cv2.optflow.DualTVL1OpticalFlow", first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    height, width = first.shape
    grow = ((0, max(0, _SMALLEST_SIDE - height)), (0, max(0, _SMALLEST_SIDE - width)))
    padded = [np.pad(as_opencv_frame(frame), grow, mode="edge") for frame in (first, second)]
    result = np.empty((*padded[0].shape, 2), np.float32)
    method.calc(padded[0], padded[1], result)
    return result[:height, :width].transpose(2, 0, 1)
