"""Optical flow by OpenCV's DIS and Farneback on the CPU, or by NVIDIA's hardware for it.

All are faster and coarser than TV-L1.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from tsn.flow.engine import Workers
from tsn.flow.estimator import FlowEstimator
from tsn.runtime.errors import UserError

_SMALLEST_SIDE = 16
"""DIS crashes over frames with a smaller side: at half the size, its patches have 8 px."""


class _NvidiaFlow:
    """NVIDIA's hardware flow of frames of one size (H, W), called as OpenCV's other methods."""

    def __init__(self, size: tuple[int, int]) -> None:
        # Best quality and a vector for each pixel (Ampere or newer); no hints from pairs before.
        options = {"perfPreset": 5, "outputGridSize": 1, "enableTemporalHints": False}
        create = cv2.cuda_NvidiaOpticalFlow_2_0.create  # type: ignore[attr-defined]
        self._method = create(size[::-1], **options)

    def calc(self, first: np.ndarray, second: np.ndarray, _: np.ndarray) -> np.ndarray:
        vectors = self._method.calc(first, second, None)[0]
        return np.asarray(self._method.convertToFloat(vectors, None))


METHODS: dict[str, Callable[[tuple[int, int]], Any]] = {
    "dis": lambda _: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM),
    "farneback": lambda _: cv2.FarnebackOpticalFlow.create(),
    "nvof": _NvidiaFlow,
}
"""DIS (Kroeger et al. 2016) with its preset "medium", Farneback (2003) with OpenCV's defaults, and
NVIDIA's hardware flow; made for frames of a size."""


class OpenCVDenseFlow(FlowEstimator):
    """Computes flow by a method of OpenCV's video module.

    The methods take bytes: frames of floats are rounded.

    Args:
        algorithm: A key of `METHODS`.
        threads: Pairs computed at the same time (cv2 releases the GIL).

    Raises:
        UserError: The installed OpenCV has no such method.
    """

    def __init__(self, algorithm: str, threads: int = 1) -> None:
        if algorithm == "nvof" and not hasattr(cv2, "cuda_NvidiaOpticalFlow_2_0"):
            raise UserError(
                "flow algorithm nvof cannot run: the installed OpenCV was built without its CUDA "
                "optical flow module; build one (make opencv-cuda), or use another algorithm"
            )
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
        self._algorithm, self._create = algorithm, METHODS[algorithm]
        self._workers = Workers(threads, chunk=1)

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        return self.pairs(frames[:-1], frames[1:])

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = np.empty((len(first), 2, *first.shape[1:]), np.float32)
        height, width = first.shape[1:]
        grow = [(0, max(0, _SMALLEST_SIDE - side)) for side in (height, width)]
        size = height + grow[0][1], width + grow[1][1]

        def work(begin: int, end: int) -> None:
            # The objects hold buffers: one for each thread and size.
            method = self._workers.state(size, lambda: self._create(size))
            for n in range(begin, end):
                frames = [np.pad(_as_bytes(frame), grow, "edge") for frame in (first[n], second[n])]
                flow = np.zeros((*frames[0].shape, 2), np.float32)
                flow = method.calc(frames[0], frames[1], flow)
                out[n] = flow[:height, :width].transpose(2, 0, 1)

        try:
            self._workers.run(len(out), work)
        except cv2.error as error:
            raise UserError(f"{self._algorithm} of OpenCV fails: {error.err or error}") from error
        return out


def _as_bytes(frame: np.ndarray) -> np.ndarray:
    return frame if frame.dtype == np.uint8 else frame.round().clip(0, 255).astype(np.uint8)
