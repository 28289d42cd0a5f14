"""Depthwise convolution of relu6(x), and its gradients, compiled by numba as this is imported.

Sums are always in one order. The innermost loops go over channels and are vectorised; NaN remains
NaN. Arrays are float32, channels last.
"""

import numpy as np
from numba import njit

_ZERO, _SIX = np.float32(0), np.float32(6)


@njit(inline="always")
def _relu6(value: np.float32) -> np.float32:
    return _ZERO if value < _ZERO else (_SIX if value > _SIX else value)


@njit(
    "void(f4[:,:,:,::1], f4[:,:,::1], f4[::1], f4[:,:,:,::1], i8, i8, i8)",
    nogil=True,
    cache=True,
    fastmath={"contract"},
    error_model="numpy",
)
def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    out: np.ndarray,
    stride: int,
    above: int,
    left: int,
) -> None:
    """Convolve the channels of images.

    Args:
        x: (N, H, W, C), before relu6.
        weight: (k, k, C).
        bias: (C,).
        out: (N, h, w, C), is overwritten.
        stride: of both sides.
        above: rows of padding above the input; `out` says how many are below it.
        left: columns of padding to the left of it.
    """
    images, height, width, channels = out.shape
    rows, columns = x.shape[1:3]
    side = len(weight)
    for image in range(images):
        for row in range(height):
            for column in range(width):
                for channel in range(channels):
                    out[image, row, column, channel] = bias[channel]
            top = row * stride - above
            for i in range(max(0, -top), min(side, rows - top)):
                y = top + i
                for column in range(width):
                    z = column * stride - left
                    j, end = max(0, -z), min(side, columns - z)
                    while j + 3 <= end:  # at once: fewer reads and writes of the output
                        for channel in range(channels):
                            out[image, row, column, channel] += (
                                _relu6(x[image, y, z + j, channel]) * weight[i, j, channel]
                                + _relu6(x[image, y, z + j + 1, channel])
                                * weight[i, j + 1, channel]
                                + _relu6(x[image, y, z + j + 2, channel])
                                * weight[i, j + 2, channel]
                            )
                        j += 3
                    for last in range(j, end):
                        for channel in range(channels):
                            out[image, row, column, channel] += (
                                _relu6(x[image, y, z + last, channel]) * weight[i, last, channel]
                            )


@njit(
    "void(f4[:,:,:,::1], f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,::1], i8, i8, i8)",
    nogil=True,
    cache=True,
    fastmath={"contract"},
    error_model="numpy",
)
def gradients(
    x: np.ndarray,
    weight: np.ndarray,
    gradient: np.ndarray,
    of_x: np.ndarray,
    of_weight: np.ndarray,
    stride: int,
    above: int,
    left: int,
) -> None:
    """Compute the gradients of the input and the weights.

    Args:
        x: (N, H, W, C), before relu6.
        weight: (k, k, C).
        gradient: (N, h, w, C), of the output.
        of_x: (N, H, W, C), is overwritten.
        of_weight: (k, k, C), is overwritten.
        stride: as in `convolve`.
        above: as in `convolve`.
        left: as in `convolve`.
    """
    images, height, width, channels = gradient.shape
    rows, columns = x.shape[1:3]
    side = len(weight)
    of_weight[:] = 0
    seen, total = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for image in range(images):
        for y in range(rows):
            for z in range(columns):
                for channel in range(channels):
                    seen[channel] = _relu6(x[image, y, z, channel])
                    total[channel] = 0
                # Each output that this pixel is part of, row * stride + i == y + above.
                for i in range((y + above) % stride, side, stride):
                    row = (y + above - i) // stride
                    for j in range((z + left) % stride, side, stride):
                        column = (z + left - j) // stride
                        if 0 <= row < height and 0 <= column < width:
                            for channel in range(channels):
                                given = gradient[image, row, column, channel]
                                total[channel] += given * weight[i, j, channel]
                                of_weight[i, j, channel] += given * seen[channel]
                for channel in range(channels):
                    value = x[image, y, z, channel]
                    constant = value <= _ZERO or value >= _SIX
                    of_x[image, y, z, channel] = _ZERO if constant else total[channel]
