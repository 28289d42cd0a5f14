"""The gradient of a depthwise convolution's weights, compiled by numba as this is imported."""

import numpy as np
from numba import njit

_BLOCK = 64
"""Channels at a time: their sums of a 5 x 5 kernel, 6.4 KB, stay in the innermost cache."""


@njit(
    "void(f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,::1], i8, i8, i8)",
    nogil=True,
    cache=True,
    fastmath={"contract"},
    error_model="numpy",
)
def weight_gradient(
    x: np.ndarray, gradient: np.ndarray, out: np.ndarray, stride: int, above: int, left: int
) -> None:
    """Sum the products of each input and output value that a weight connects, always in one order.

    Args:
        x: float32 (N, H, W, C), input.
        gradient: float32 (N, h, w, C), of the output.
        out: float32 (k, k, C), is overwritten.
        stride: of both sides.
        above: rows of padding above the input.
        left: columns of padding to the left of it.
    """
    images, height, width, channels = gradient.shape
    side = out.shape[0]
    sums = np.empty((side, side, _BLOCK), np.float32)
    for first in range(0, channels, _BLOCK):
        count = min(_BLOCK, channels - first)
        sums[:] = 0
        for image in range(images):
            for row in range(height):
                y = row * stride - above
                for column in range(width):
                    z = column * stride - left
                    given = gradient[image, row, column, first : first + count]
                    for i in range(max(0, -y), min(side, x.shape[1] - y)):
                        for j in range(max(0, -z), min(side, x.shape[2] - z)):
                            seen = x[image, y + i, z + j, first : first + count]
                            total = sums[i, j, :count]
                            for channel in range(count):
                                total[channel] += seen[channel] * given[channel]
        out[:, :, first : first + count] = sums[:, :, :count]
