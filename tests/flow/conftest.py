"""Rendered textures whose motion is known exactly."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

Render = Callable[..., np.ndarray]


@pytest.fixture
def tolerance() -> float:
    """Mean end-point difference in px that is allowed between the native engine and OpenCV.

    OpenCV 4 rounds the positions it warps to to 1/32 px; OpenCV 5 and the native engine do not.
    """
    return 0.01 if int(cv2.__version__.split(".")[0]) >= 5 else 0.02


@pytest.fixture
def render() -> Render:
    """A function that renders a smooth texture at shifted places.

    Arguments: height, width, shift (x, y) in px by which the texture has moved, seed. Returns
    uint8 (height, width).
    """

    def rendered(
        height: int, width: int, shift: tuple[float, float] = (0.0, 0.0), seed: int = 0
    ) -> np.ndarray:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width].astype(float)
        x, y = x - shift[0], y - shift[1]
        waves = 40
        # Wavelengths of 6 to 60 px, in all directions.
        frequency = 2 * np.pi / rng.uniform(6, 60, waves)
        angle, phase = rng.uniform(0, 2 * np.pi, (2, waves))
        texture = sum(
            np.sin(f * (np.cos(a) * x + np.sin(a) * y) + p)
            for f, a, p in zip(frequency, angle, phase, strict=True)
        )
        return (128 + 22 * texture / np.sqrt(waves / 2)).clip(0, 255).round().astype(np.uint8)

    return rendered
