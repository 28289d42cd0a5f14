"""Depthwise convolution of relu6(x), and its gradients, compiled by numba as this is imported.

An image is copied into padded ones of `LANES` channels, which have no borders to mind; it may come
from the memory, which is slow where it is not read and written in its order. Sums are always in one
order; NaN remains NaN.

Arrays are float32, channels last.
"""

import numpy as np
from numba import njit

from tsn.runtime.lanes import LANES, add_product, choose, load, spread, store

BLOCK = 4
"""Pixels of a row that are computed at once, in registers."""

_ZERO, _SIX = np.float32(0), np.float32(6)


@njit(forceinline=True)
def _relu6(x):
    return min(spread(_SIX), max(spread(_ZERO), x))


@njit(forceinline=True)
def _gradient_of_relu6(gradient, x):
    """The gradient of x, or of relu6(x), from that of relu6(x)."""
    zero = spread(_ZERO)
    return choose(x, zero, zero, choose(spread(_SIX), x, zero, gradient))


@njit(nogil=True)
def _pad(padded, above, left, x, image, begin):
    """Copy relu6 of an image into the padded ones (blocks, rows, columns, LANES)."""
    _, rows, columns, _ = x.shape
    for row in range(rows):
        for column in range(columns):
            for block in range(len(padded)):
                value = load(x, image, row, column, begin + block * LANES)
                store(padded, block, row + above, column + left, 0, _relu6(value))


@njit(forceinline=True)
def _convolve_row(line, x, y, stride, weight, side, first, step, bias, begin):
    """Write a row of a convolution of padded images to `line` (blocks, columns, LANES).

    Its windows begin in row y of x, `stride` columns apart. Of their rows, and those of `weight`
    (side, side, C), only each `step`th from `first` counts.
    """
    for block in range(len(line)):
        channel = begin + block * LANES
        start = load(bias, channel)
        for column in range(0, line.shape[1], BLOCK):
            a = b = c = d = start
            for i in range(first, side, step):
                for j in range(side):
                    factor = load(weight, i, j, channel)
                    at = column * stride + j
                    a = add_product(a, load(x, block, y + i, at, 0), factor)
                    b = add_product(b, load(x, block, y + i, at + stride, 0), factor)
                    c = add_product(c, load(x, block, y + i, at + 2 * stride, 0), factor)
                    d = add_product(d, load(x, block, y + i, at + 3 * stride, 0), factor)
            store(line, block, column, 0, a)
            store(line, block, column + 1, 0, b)
            store(line, block, column + 2, 0, c)
            store(line, block, column + 3, 0, d)


@njit(
    "void(f4[:,:,:,::1], f4[:,:,::1], f4[::1], f4[:,:,:,::1], b1, i8, i8, i8, i8, i8)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def convolve(x, weight, bias, out, clamp, stride, above, left, begin, end):
    """Convolve channels of images.

    Args:
        x: (N, H, W, C), before relu6.
        weight: (k, k, C).
        bias: (C,).
        out: (N, h, w, C), is overwritten.
        clamp: whether relu6 follows the convolution, too.
        stride: of both sides.
        above: rows of padding above the input; `out` says how many are below it.
        left: columns of padding to the left of it.
        begin: the first of the channels, a multiple of `LANES`.
        end: the one after the last of them.
    """
    images, height, width, _ = out.shape
    side, blocks = len(weight), (end - begin) // LANES
    wide = -(-width // BLOCK) * BLOCK
    rows = max((height - 1) * stride + side, above + x.shape[1])
    columns = max((wide - 1) * stride + side, left + x.shape[2])
    padded = np.zeros((blocks, rows, columns, LANES), np.float32)
    line = np.empty((blocks, wide, LANES), np.float32)
    for image in range(images):
        _pad(padded, above, left, x, image, begin)
        for row in range(height):
            y = row * stride
            if side == 3:  # the compiler unrolls loops of constant length
                _convolve_row(line, padded, y, stride, weight, 3, 0, 1, bias, begin)
            else:
                _convolve_row(line, padded, y, stride, weight, 5, 0, 1, bias, begin)
            for column in range(width):
                for block in range(blocks):
                    value = load(line, block, column, 0)
                    if clamp:
                        value = _relu6(value)
                    store(out, image, row, column, begin + block * LANES, value)


@njit(nogil=True)
def _add_gradient_of_weight(of_weight, x, gradient, top, left, height, width, stride, begin):
    """Add sums of products of padded images and their gradient.

    The gradient has height x width pixels, `stride` apart, from row `top` and column `left`.
    """
    side = len(of_weight)
    for block in range(len(x)):
        channel = begin + block * LANES
        for i in range(side):
            a, b = load(of_weight, i, 0, channel), load(of_weight, i, 1, channel)
            c = d = e = load(of_weight, i, 2, channel)
            if side == 5:
                d, e = load(of_weight, i, 3, channel), load(of_weight, i, 4, channel)
            for row in range(0, height * stride, stride):
                for column in range(0, width * stride, stride):
                    factor = load(gradient, block, top + row, left + column, 0)
                    a = add_product(a, load(x, block, row + i, column, 0), factor)
                    b = add_product(b, load(x, block, row + i, column + 1, 0), factor)
                    c = add_product(c, load(x, block, row + i, column + 2, 0), factor)
                    if side == 5:
                        d = add_product(d, load(x, block, row + i, column + 3, 0), factor)
                        e = add_product(e, load(x, block, row + i, column + 4, 0), factor)
            store(of_weight, i, 0, channel, a)
            store(of_weight, i, 1, channel, b)
            store(of_weight, i, 2, channel, c)
            if side == 5:
                store(of_weight, i, 3, channel, d)
                store(of_weight, i, 4, channel, e)


@njit(
    "void(f4[:,:,:,::1], f4[:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,:,::1], f4[:,:,::1], "
    "b1, i8, i8, i8, i8, i8)",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def add_gradients(
    x, weight, out, gradient, of_x, of_weight, clamp, stride, above, left, begin, end
):
    """Compute the gradients of the input and the weights.

    Args:
        x: (N, H, W, C), before relu6.
        weight: (k, k, C), k is 3 or 5.
        out: (N, h, w, C), what `convolve` made of them.
        gradient: (N, h, w, C), of `out`.
        of_x: (N, H, W, C), is overwritten.
        of_weight: (k, k, C), is added to.
        clamp: as in `convolve`.
        stride: as in `convolve`.
        above: as in `convolve`.
        left: as in `convolve`.
        begin: as in `convolve`.
        end: as in `convolve`.
    """
    _, height, width, _ = gradient.shape
    images, rows, columns, _ = x.shape
    side, blocks = len(weight), (end - begin) // LANES
    tall = max((height - 1) * stride + side, above + rows)
    wide = max((width - 1) * stride + side, left + columns)
    padded = np.zeros((blocks, tall, wide, LANES), np.float32)
    # The gradient, with zeros between its pixels if there is a stride: the gradient of the input
    # is the convolution of it with the kernel turned by 180 degrees.
    top, before = side - 1 - above, side - 1 - left
    length = -(-columns // BLOCK) * BLOCK
    tall = max(rows - 1 + side, top + (height - 1) * stride + 1)
    wide = max(length - 1 + side, before + (width - 1) * stride + 1)
    given = np.zeros((blocks, tall, wide, LANES), np.float32)
    line = np.empty((blocks, length, LANES), np.float32)
    turned, no_bias = weight[::-1, ::-1], np.zeros(end, np.float32)
    for image in range(images):
        _pad(padded, above, left, x, image, begin)
        for row in range(height):
            for column in range(width):
                for block in range(blocks):
                    channel = begin + block * LANES
                    value = load(gradient, image, row, column, channel)
                    if clamp:
                        value = _gradient_of_relu6(value, load(out, image, row, column, channel))
                    store(given, block, top + row * stride, before + column * stride, 0, value)
        _add_gradient_of_weight(of_weight, padded, given, top, before, height, width, stride, begin)
        for row in range(rows):
            first = (top - row) % stride  # the rows between are zero
            if side == 3:
                _convolve_row(line, given, row, 1, turned, 3, first, stride, no_bias, begin)
            else:
                _convolve_row(line, given, row, 1, turned, 5, first, stride, no_bias, begin)
            for column in range(columns):
                for block in range(blocks):
                    seen = load(padded, block, row + above, column + left, 0)
                    value = _gradient_of_relu6(load(line, block, column, 0), seen)
                    store(of_x, image, row, column, begin + block * LANES, value)
