"""Warped flow: the flow that is left when the camera's motion is undone.

    >>> warped = WarpedFlow(TVL1())(frames, flow)

Per pair, a homography is estimated from features and from the corners that the first flow moves;
the second frame is warped by it, and TV-L1 runs again (Wang et al. 2016, section 3.2; dense_flow).
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import cv2
import numpy as np

from tsn.flow import camera, features, homography
from tsn.flow.camera import Camera, estimate_homography, warp_to_previous
from tsn.flow.features import detect_features
from tsn.flow.tvl1 import TVL1

T = TypeVar("T")

VERSION = "2"
"""Raised whenever a change to the estimate or the warp changes its numbers."""

_CONSTANTS = {
    features: (
        "CORNERS",
        "CORNER_QUALITY",
        "CORNER_DISTANCE",
        "MATCH_WINDOW",
        "SMOOTHING",
        "RADIUS",
        "LEAST_CORRELATION",
    ),
    homography: ("TOLERANCE", "ITERATIONS", "CONFIDENCE", "SCALE"),
    camera: ("INLIER_DISTANCE", "FEWEST_PAIRS", "FEWEST_INLIERS", "STILLNESS", "BORDER"),
}
"""What the estimate is made with, for fingerprints."""


class WarpedFlow:
    """Computes warped flow from frames and their flow, which is not computed again.

    Args:
        tvl1: Computes the flow to the warped frames.
        threads: Pairs whose camera motion is estimated at the same time.
    """

    def __init__(self, tvl1: TVL1, threads: int = 1) -> None:
        self._tvl1 = tvl1
        self._pool = ThreadPoolExecutor(threads, "camera") if threads > 1 else None

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What determines the warped flow, besides the first flow: TV-L1's and the camera's."""
        return {
            "algorithm": "warped tvl1",
            "version": VERSION,
            "detector": "corners",
            "opencv": cv2.__version__,
            **{
                name.lower(): getattr(module, name)
                for module, names in _CONSTANTS.items()
                for name in names
            },
            "tvl1": self._tvl1.fingerprint,
        }

    def __call__(self, frames: np.ndarray, flow: np.ndarray) -> np.ndarray:
        """Return the warped flow alone; see `with_cameras`."""
        return self.with_cameras(frames, flow)[0]

    def with_cameras(self, frames: np.ndarray, flow: np.ndarray) -> tuple[np.ndarray, list[Camera]]:
        """Compute the warped flow of a clip.

        Args:
            frames: Grey frames, uint8 (T, H, W).
            flow: Their flow, float (T-1, 2, H, W) in px, as `TVL1` gives it; quantised and
                dequantised is precise enough.

        Returns:
            The warped flow, float32 (T-1, 2, H, W), and the camera's motion per pair. Where none
            was accepted, as with a camera that stands still, the warped flow is the given flow.

        Raises:
            ValueError: Wrong type or shape; the message tells which.
        """
        if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape:
            raise ValueError(
                f"frames must be uint8 (T, H, W), not {frames.dtype} of shape {frames.shape}"
            )
        expected = (len(frames) - 1, 2, *frames.shape[1:])
        if flow.shape != expected or not np.issubdtype(flow.dtype, np.floating):
            raise ValueError(
                f"flow must be floating point of shape {expected}, not {flow.dtype} of shape "
                f"{flow.shape}"
            )
        found = self._map(detect_features, frames)
        # A frame's features serve the pair before it and the pair after it.
        cameras = self._map(estimate_homography, frames, frames[1:], flow, pairwise(found))
        warped = np.array(flow, np.float32)
        moved = [t for t, motion in enumerate(cameras) if motion.accepted]
        if moved:
            motions = (cameras[t].homography for t in moved)
            following = (frames[t + 1] for t in moved)
            stilled = np.stack(self._map(warp_to_previous, frames[moved], following, motions))
            warped[moved] = self._tvl1.pairs(frames[moved], stilled)
        return warped, cameras

    def _map(self, work: Callable[..., T], *arguments: Iterable) -> list[T]:
        """Return work(...) of the arguments side by side, up to the end of the shortest."""
        return list((self._pool.map if self._pool else map)(work, *arguments))
