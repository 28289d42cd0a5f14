"""Making pictures of flow easy on the eye: one scale for a video, no speckles, parted cells."""

import numpy as np

GAP, DARK = 4, 32
"""Width in px and grey level of the lines between pictures; even, as videos want it."""


def colour_scale(flow: np.ndarray) -> float:
    """Return the magnitude in px to show flow (n, 2, H, W) at: 99 % of its motion is below it.

    A few wild pixels leave the rest visible so; noise of a still scene stays pale, as the scale is
    never below 1 px.
    """
    return max(1.0, float(np.percentile(np.hypot(flow[:, 0], flow[:, 1]), 99)))


def limited(flow: np.ndarray, magnitude: float) -> np.ndarray:
    """Shorten the motion of flow (..., 2, H, W) that is above a magnitude to it.

    The colour code darkens motion above its scale, which would speckle fast regions.
    """
    length = np.hypot(flow[..., 0, :, :], flow[..., 1, :, :])[..., None, :, :]
    # By rounding, a product can be a little above the scale.
    return flow * np.minimum(1, 0.9999 * magnitude / np.maximum(length, 1e-9))


def ruled(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Part the cells, each (height, width), of pictures (..., rows, columns, 3) by dark lines."""
    rows, columns = pictures.shape[-3:-1]
    across = np.repeat(np.arange(height, rows, height), GAP)
    down = np.repeat(np.arange(width, columns, width), GAP)
    return np.insert(np.insert(pictures, across, DARK, axis=-3), down, DARK, axis=-2)
