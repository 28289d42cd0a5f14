"""Warped flow: optical flow with the camera's motion removed.

Examples:
    >>> warped = WarpedFlow(TVL1())(frames, flow)

Per pair, a homography is estimated from features and from the corners that the first flow moves;
the second frame is warped by it, and the flow to it is computed again (Wang et al. 2016, section
3.2, and dense_flow, with TV-L1).
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import cv2
import numpy as np

from tsn.flow import camera, features, homography
from tsn.flow import overlay as overlays
from tsn.flow.camera import CameraMotion, estimate_homography, warp_to_previous
from tsn.flow.checks import as_array
from tsn.flow.engine import Array, ForkSafePool
from tsn.flow.estimator import FlowEstimator
from tsn.flow.features import detect_features
from tsn.runtime.caches import compiling

T = TypeVar("T")

Pairs: TypeAlias = tuple[np.ndarray, np.ndarray]

VERSION = "4"
"""Raised whenever a change to the estimate or the warp changes its numbers."""

_PARAMETERS = {
    "corners": features.MAX_CORNERS,
    "corner_quality": features.CORNER_QUALITY,
    "corner_distance": features.CORNER_DISTANCE,
    "match_window": features.MATCH_WINDOW,
    "smoothing": features.SMOOTHING,
    "radius": features.PATCH_RADIUS,
    "least_correlation": features.MIN_CORRELATION,
    "tolerance": homography.RANSAC_DISTANCE,
    "iterations": homography.MAX_ITERATIONS,
    "confidence": homography.CONFIDENCE,
    "scale": homography.SCALE,
    "inlier_distance": camera.INLIER_DISTANCE,
    "fewest_pairs": camera.MIN_PAIRS,
    "fewest_inliers": camera.MIN_INLIERS,
    "stillness": camera.STILLNESS,
    "border": camera.BORDER,
    "overlay_texture": overlays.TEXTURE,
    "overlay_change": overlays.CHANGE,
    "overlay_moving": overlays.MOVING,
    "overlay_block": overlays.BLOCK,
    "overlay_fraction": overlays.MAX_FRACTION,
    "overlay_pairs": overlays.MIN_MOVING_PAIRS,
    "overlay_still": overlays.STILL,
}
"""Parameters of the estimate, as fingerprints record them."""


class WarpedFlow:
    """Computes warped flow from frames and their flow, which is not computed again.

    Args:
        estimator: Computes the flow to the warped frames.
        threads: Pairs whose camera motion is estimated at the same time.

    Attributes:
        estimator: The same; also which frames make a pair.
    """

    def __init__(self, estimator: FlowEstimator, threads: int = 1) -> None:
        self.estimator = estimator
        self._pool = ForkSafePool(threads, "camera") if threads > 1 else None
        with compiling(Path(__file__).parent):
            _compile()

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What determines the warped flow, besides the first flow.

        That of the flow itself stands under its algorithm's name.
        """
        flow = self.estimator.fingerprint
        return {
            "algorithm": f"warped {flow['algorithm']}",
            "version": VERSION,
            "detector": "corners",
            "opencv": cv2.__version__,
            **_PARAMETERS,
            flow["algorithm"]: flow,
            **({"step": flow["step"]} if "step" in flow else {}),
        }

    def __call__(
        self,
        frames: Array,
        flow: Array,
        overlay: np.ndarray | None = None,
        pairs: Pairs | None = None,
    ) -> np.ndarray:
        """Return the warped flow alone; see `with_camera_motion`."""
        return self.with_camera_motion(frames, flow, overlay, pairs)[0]

    def with_camera_motion(
        self,
        frames: Array,
        flow: Array,
        overlay: np.ndarray | None = None,
        pairs: Pairs | None = None,
    ) -> tuple[np.ndarray, list[CameraMotion]]:
        """Compute the warped flow of a clip.

        Args:
            frames: Grey frames, uint8 (T, H, W); a NumPy array, or a torch tensor on the CPU.
            flow: Flow of the pairs, float (N, 2, H, W) in px, of the same estimator; quantised
                and dequantised is precise enough.
            overlay: What belongs to the screen and not to the scene, bool (H, W), as
                `tsn.flow.overlay.find_overlay` finds it over the whole clip; None for nothing.
            pairs: Numbers of the first and of the second frames of the pairs, int (N,) each; None
                for those that lie the estimator's step apart.

        Returns:
            The warped flow, float32 of the flow's shape, and the camera's motion per pair. Where
            none was accepted, as with a camera that stands still, the warped flow is the input.

        Raises:
            ValueError: Wrong type or shape; the message names it.
        """
        frames, flow = as_array("frames", frames), as_array("flow", flow)
        if frames.dtype != np.uint8 or frames.ndim != 3 or 0 in frames.shape:
            raise ValueError(
                f"frames must be uint8 (T, H, W), not {frames.dtype} of shape {frames.shape}"
            )
        if pairs is None:
            step, numbers = self.estimator.step_in(len(frames)), np.arange(len(frames))
            pairs = numbers[:-step], numbers[step:]
        first, second = pairs
        expected = (len(first), 2, *frames.shape[1:])
        if flow.shape != expected or not np.issubdtype(flow.dtype, np.floating):
            raise ValueError(
                f"flow must be floating point of shape {expected}, not {flow.dtype} of shape "
                f"{flow.shape}"
            )
        if overlay is not None and overlay.shape != frames.shape[1:]:
            raise ValueError(f"overlay must be {frames.shape[1:]}, not {overlay.shape}")
        detected = self._map(partial(detect_features, overlay=overlay), frames)
        # A frame's features serve the pair that ends with it and the pair that begins with it.
        found = ((detected[a], detected[b]) for a, b in zip(first, second, strict=True))
        motions = self._map(estimate_homography, frames[first], frames[second], flow, found)
        warped = np.array(flow, np.float32)
        moved = [n for n, motion in enumerate(motions) if motion.accepted]
        if moved:
            homographies = (motions[n].homography for n in moved)
            before, after = frames[first[moved]], frames[second[moved]]
            stabilised = self._map(warp_to_previous, before, after, homographies)
            warped[moved] = self.estimator.pairs(before, np.stack(stabilised))
        return warped, motions

    def _map(self, work: Callable[..., T], *arguments: Iterable) -> list[T]:
        """Return work(...) of the arguments in parallel, up to the end of the shortest."""
        return list((self._pool().map if self._pool else map)(work, *arguments))


def _compile() -> None:
    """Run every compiled function once."""
    first = np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)
    second = np.roll(first, 3, axis=1)
    flow = np.zeros((2, 64, 64), np.float32)
    flow[0] = 3
    found = detect_features(first), detect_features(second)
    motion = estimate_homography(first, second, flow, found)
    warp_to_previous(first, second, motion.homography)
