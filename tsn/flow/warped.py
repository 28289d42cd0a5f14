"""Warped flow: the flow that is left when the camera's motion is undone.

    >>> warped = WarpedFlow(TVL1())(frames, flow)

Per pair, a homography is estimated from features and from the corners that the first flow moves;
the second frame is warped by it, and TV-L1 runs again (Wang et al. 2016, section 3.2; dense_flow).
"""

from typing import Any

import cv2
import numpy as np

from tsn.flow import camera
from tsn.flow.camera import Camera, detect_features, estimate_homography, warp_to_previous
from tsn.flow.tvl1 import TVL1

VERSION = "1"
"""Raised whenever a change to the estimate or the warp changes its numbers."""


class WarpedFlow:
    """Computes warped flow from frames and their flow, which is not computed again.

    Args:
        tvl1: Computes the flow to the warped frames.
    """

    def __init__(self, tvl1: TVL1) -> None:
        self._tvl1 = tvl1

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What determines the warped flow, besides the first flow: TV-L1's and the camera's."""
        return {
            "algorithm": "warped tvl1",
            "version": VERSION,
            "detector": "sift",
            "opencv": cv2.__version__,
            **{
                name.lower(): getattr(camera, name)
                for name in (
                    "FEATURES",
                    "MATCH_WINDOW",
                    "CORNERS",
                    "CORNER_QUALITY",
                    "CORNER_DISTANCE",
                    "INLIER_DISTANCE",
                    "FEWEST_PAIRS",
                    "FEWEST_INLIERS",
                    "BORDER",
                )
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
            was accepted, the warped flow is the given flow.

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
        cameras = _estimate_cameras(frames, flow)
        warped = np.array(flow, np.float32)
        moved = [t for t, motion in enumerate(cameras) if motion.accepted]
        if moved:
            stilled = np.stack(
                [warp_to_previous(frames[t], frames[t + 1], cameras[t].homography) for t in moved]
            )
            warped[moved] = self._tvl1.pairs(frames[moved], stilled)
        return warped, cameras


def _estimate_cameras(frames: np.ndarray, flow: np.ndarray) -> list[Camera]:
    cameras = []
    after = detect_features(frames[0])
    for t in range(len(flow)):
        # A frame's features serve the pair before it and the pair after it.
        before, after = after, detect_features(frames[t + 1])
        cameras.append(estimate_homography(frames[t], frames[t + 1], flow[t], (before, after)))
    return cameras
