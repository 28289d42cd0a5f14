"""Optical flow by OpenCV's DIS and Farneback on the CPU, faster and coarser than TV-L1."""

from typing import Any

import cv2
import numpy as np

from tsn.flow.engine import Workers
from tsn.flow.estimator import FlowEstimator

_SMALLEST_SIDE = 12
"""DIS refuses frames with a smaller side."""

METHODS = {
    "dis": lambda: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    "farneback": lambda: cv2.FarnebackOpticalFlow.create(),
}
"""DIS (Kroeger et al. 2016) with its preset "medium", Farneback (2003) with OpenCV's defaults."""


class OpenCVDenseFlow(FlowEstimator):
    """Computes flow by a method of OpenCV's video module.

    The methods take bytes: frames of floats are rounded.

    Args:
        algorithm: A key of `METHODS`.
        threads: Pairs computed at the same time (cv2 releases the GIL).
    """

    def __init__(self, algorithm: str, threads: int = 1) -> None:
        super().__init__(_Engine(algorithm, threads))
        self._algorithm = algorithm

    def _made_by(self) -> dict[str, Any]:
        """What determines the flow."""
        return {
            "algorithm": self._algorithm,
            "backend": "opencv",
            "implementation": self._engine.implementation,
            "version": self._engine.version,
        }


class _Engine:
    implementation = "cv2"
    version = cv2.__version__

    def __init__(self, algorithm: str, threads: int) -> None:
        self._create = METHODS[algorithm]
        self._workers = Workers(threads, chunk=1)

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        return self.pairs(frames[:-1], frames[1:])

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = np.empty((len(first), 2, *first.shape[1:]), np.float32)
        height, width = first.shape[1:]
        grow = [(0, max(0, _SMALLEST_SIDE - side)) for side in (height, width)]

        def work(begin: int, end: int) -> None:
            # The objects hold buffers: one for each thread and size.
            method = self._workers.state((height, width), self._create)
            for n in range(begin, end):
                frames = [np.pad(_as_bytes(frame), grow, "edge") for frame in (first[n], second[n])]
                flow = np.zeros((*frames[0].shape, 2), np.float32)
                flow = method.calc(frames[0], frames[1], flow)
                out[n] = flow[:height, :width].transpose(2, 0, 1)

        self._workers.run(len(out), work)
        return out


def _as_bytes(frame: np.ndarray) -> np.ndarray:
    return frame if frame.dtype == np.uint8 else frame.round().clip(0, 255).astype(np.uint8)
