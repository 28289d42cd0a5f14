"""Readable figures of flow: one colour scale for a video, no speckles, lines between cells."""

import numpy as np

GAP, DARK = 4, 32
"""Width in px and grey level of the lines between cells; even, because videos need even sides."""


def colour_scale(flow: np.ndarray) -> float:
    """Return the magnitude in px of full colour for flow (n, 2, H, W): its 99th percentile.

    So a few outliers leave the rest visible; the noise of a still scene stays pale, because the
    scale is never below 1 px.
    """
    return max(1.0, float(np.percentile(np.hypot(flow[:, 0], flow[:, 1]), 99)))


def limit_magnitude(flow: np.ndarray, magnitude: float) -> np.ndarray:
    """Shorten vectors of flow (..., 2, H, W) that are longer than a magnitude to it.

    The colour code darkens motion above its scale, which would speckle fast regions.
    """
    length = np.hypot(flow[..., 0, :, :], flow[..., 1, :, :])[..., None, :, :]
    # Rounding can put a product a little above the scale.
    return flow * np.minimum(1, 0.9999 * magnitude / np.maximum(length, 1e-9))


def add_grid_lines(figures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Insert dark lines between the cells, each (height, width), of figures (..., H, W, 3)."""
    rows, columns = figures.shape[-3:-1]
    across = np.repeat(np.arange(height, rows, height), GAP)
    down = np.repeat(np.arange(width, columns, width), GAP)
    return np.insert(np.insert(figures, across, DARK, axis=-3), down, DARK, axis=-2)
