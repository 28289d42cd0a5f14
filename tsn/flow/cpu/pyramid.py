"""Linear resizing for the native TV-L1 engine, by the conventions of cv2.resize or cv2.cuda."""

from dataclasses import dataclass

import numpy as np
from numba import njit

SMALLEST_SIDE = 16
"""A level with a side below this many px is not used (as in OpenCV's TV-L1)."""

_ONE = np.float32(1)


def level_sizes(height: int, width: int, levels: int, step: float) -> list[tuple[int, int]]:
    """Return (height, width) of every pyramid level, finest first.

    Sizes are rounded half to even, as OpenCV rounds them; the first level is always there.
    """
    sizes = [(height, width)]
    while len(sizes) < levels:
        size = (round(sizes[-1][0] * step), round(sizes[-1][1] * step))
        if min(size) < SMALLEST_SIDE:
            break
        sizes.append(size)
    return sizes


def _axis(
    source: int, target: int, scale: float, centred: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for every target position, the two source positions and the second's weight."""
    if centred:
        place = ((np.arange(target) + 0.5) * scale - 0.5).astype(np.float32)
    else:
        place = np.arange(target, dtype=np.float32) * np.float32(scale)
    first = np.floor(place).astype(np.int64)
    weight = place - first.astype(np.float32)
    weight[(first < 0) | (first >= source - 1)] = 0
    first = first.clip(0, source - 1)
    return first, np.minimum(first + 1, source - 1), weight


@dataclass(frozen=True)
class Resize:
    """A linear resize of planes from one size to another that covers the same area.

    Build it with `Resize.between`; call it with a source plane, a target plane and a factor that
    the result is multiplied by (flow grows with its level).
    """

    rows: tuple[np.ndarray, np.ndarray, np.ndarray]
    columns: tuple[np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def between(
        cls,
        source: tuple[int, int],
        target: tuple[int, int],
        scale: float | None = None,
        centred: bool = True,
    ) -> "Resize":
        """Prepare a resize.

        Args:
            source: (height, width) of the source.
            target: (height, width) of the target.
            scale: Source px per target px; None takes the ratio of the sizes on each axis.
            centred: Whether coordinates belong to the centres of pixels, as for `cv2.resize`, or
                to their top left corners, as for `cv2.cuda.resize`.
        """
        if not centred and source == target:
            scale = None  # cv2.cuda copies then, whatever the scale
        ratios = [scale or s / t for s, t in zip(source, target, strict=True)]
        return cls(
            _axis(source[0], target[0], ratios[0], centred),
            _axis(source[1], target[1], ratios[1], centred),
        )

    def __call__(self, source: np.ndarray, target: np.ndarray, factor: float = 1.0) -> None:
        """Write the resized `source`, times `factor`, into the top left of `target`."""
        _resize(source, target, self.rows, self.columns, np.float32(factor))


@njit(nogil=True, cache=True, error_model="numpy")
def _resize(source, target, rows, columns, factor):
    above, below, row_weight = rows
    left, right, column_weight = columns
    for y in range(len(above)):
        upper, lower = source[above[y]], source[below[y]]
        wy = row_weight[y]
        for x in range(len(left)):
            wx = column_weight[x]
            a = upper[left[x]] * (_ONE - wx) + upper[right[x]] * wx
            b = lower[left[x]] * (_ONE - wx) + lower[right[x]] * wx
            target[y, x] = (a * (_ONE - wy) + b * wy) * factor
