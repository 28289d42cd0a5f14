"""Depthwise convolution of relu6(x), and its gradients, compiled by numba as this is imported.

Numba does not vectorise such loops: vectors of `LANES` channels are written out in LLVM's
intermediate representation. An image is copied into padded ones of so many channels, which have no
borders to mind; it may come from the memory, which is slow where it is not read and written in its
order. Sums are always in one order; NaN remains NaN.

Arrays are float32, channels last. An index is that of an image's or a row's first value.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16
"""Channels at a time; the number of channels must be a multiple of it."""

BLOCK = 4
"""Pixels of a row that are computed at once, in registers."""

_VECTOR = ir.VectorType(ir.FloatType(), LANES)
_ZERO, _SIX = (ir.Constant(_VECTOR, [value] * LANES) for value in (0.0, 6.0))
_CONTRACT = ("contract",)  # a product and its sum may be one instruction


def _pointer(context, builder, kind, array, index):
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


@intrinsic
def _copy(_, to, i, source, j, clamp):
    """Write relu6 of the vector at source[j], or the vector itself, to to[i]."""
    signature = types.void(to, types.int64, source, types.int64, types.boolean)

    def generate(context, builder, signature, values):
        to, i, source, j, clamp = values
        kinds = signature.args
        value = builder.load(_pointer(context, builder, kinds[2], source, j), align=4)
        above = builder.select(builder.fcmp_ordered("<", value, _ZERO), _ZERO, value)
        inside = builder.select(builder.fcmp_ordered(">", above, _SIX), _SIX, above)
        value = builder.select(clamp, inside, value)
        builder.store(value, _pointer(context, builder, kinds[0], to, i), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _copy_gradient(_, to, i, source, j, x, k):
    """Write the vector at source[j], a gradient of relu6(x[k]), as that of x[k] to to[i]."""
    signature = types.void(to, types.int64, source, types.int64, x, types.int64)

    def generate(context, builder, signature, values):
        to, i, source, j, x, k = values
        kinds = signature.args
        value = builder.load(_pointer(context, builder, kinds[2], source, j), align=4)
        seen = builder.load(_pointer(context, builder, kinds[4], x, k), align=4)
        constant = builder.or_(
            builder.fcmp_ordered("<=", seen, _ZERO), builder.fcmp_ordered(">=", seen, _SIX)
        )
        value = builder.select(constant, _ZERO, value)
        builder.store(value, _pointer(context, builder, kinds[0], to, i), align=4)
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def _accumulate(_, count, sums, to, x, at, y, since, lines, x_row, y_row, terms, apart, step):
    """Add sums of products to `count` vectors, n = 0 … count - 1, which stay in registers.

    sums[n] += Σ over l < lines, t < terms of x[l x_row + t step + n apart] y[l y_row + t step],
    counted in vectors from sums[to], x[at] and y[since].
    """
    place = types.int64
    sizes = (place,) * 6
    signature = types.void(count, sums, place, x, place, y, place, *sizes)
    number = count.literal_value

    def generate(context, builder, signature, values):
        _, sums, to, x, at, y, since, lines, x_row, y_row, terms, apart, step = values
        kinds = signature.args
        lanes = to.type(LANES)
        x_row, y_row, apart, step = (
            builder.mul(size, lanes) for size in (x_row, y_row, apart, step)
        )
        targets, totals = [], []
        for n in range(number):
            index = builder.add(to, to.type(n * LANES))
            targets.append(_pointer(context, builder, kinds[1], sums, index))
            totals.append(cgutils.alloca_once(builder, _VECTOR))
            builder.store(builder.load(targets[n], align=4), totals[n])
        with cgutils.for_range(builder, lines) as line:
            first_x = builder.add(at, builder.mul(line.index, x_row))
            first_y = builder.add(since, builder.mul(line.index, y_row))
            with cgutils.for_range(builder, terms) as term:
                moved = builder.mul(term.index, step)
                index = builder.add(first_y, moved)
                factor = builder.load(_pointer(context, builder, kinds[5], y, index), align=4)
                index = builder.add(first_x, moved)
                for total in totals:
                    value = builder.load(_pointer(context, builder, kinds[3], x, index), align=4)
                    product = builder.fmul(value, factor, flags=_CONTRACT)
                    added = builder.fadd(builder.load(total), product, flags=_CONTRACT)
                    builder.store(added, total)
                    index = builder.add(index, apart)
        for target, total in zip(targets, totals, strict=True):
            builder.store(builder.load(total), target, align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, error_model="numpy")
def _pad(padded, size, columns, above, left, x, image, begin, end):
    """Copy relu6 of an image into padded ones of `size` values, one for each `LANES` channels."""
    _, rows, width, channels = x.shape
    flat = x.ravel()
    for row in range(rows):
        for column in range(width):
            to = ((row + above) * columns + left + column) * LANES
            at = ((image * rows + row) * width + column) * channels
            for first in range(begin, end, LANES):
                _copy(padded, to, flat, at + first, True)
                to += size


@njit(nogil=True, error_model="numpy")
def _pack(weight, begin, end, turn):
    """The kernels of `LANES` channels after those of others, turned by 180 degrees if `turn`."""
    taps, channels = len(weight) ** 2, weight.shape[2]
    flat, packed = weight.ravel(), np.empty(taps * (end - begin), np.float32)
    to = 0
    for first in range(begin, end, LANES):
        for tap in range(taps):
            source = taps - 1 - tap if turn else tap
            _copy(packed, to, flat, source * channels + first, False)
            to += LANES
    return packed


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
    images, height, width, channels = out.shape
    side = len(weight)
    wide = -(-width // BLOCK) * BLOCK
    columns = max((wide - 1) * stride + side, left + x.shape[2])
    tall = max((height - 1) * stride + side, above + x.shape[1])
    size, line = tall * columns * LANES, wide * LANES
    blocks = (end - begin) // LANES
    padded, lines = np.zeros(blocks * size, np.float32), np.empty(blocks * line, np.float32)
    kernels, results = _pack(weight, begin, end, False), out.ravel()
    for image in range(images):
        _pad(padded, size, columns, above, left, x, image, begin, end)
        for row in range(height):
            for block in range(blocks):
                kernel = block * side * side * LANES
                for column in range(0, wide, BLOCK):
                    to = block * line + column * LANES
                    for n in range(BLOCK):
                        _copy(lines, to + n * LANES, bias, begin + block * LANES, False)
                    at = block * size + (row * columns + column) * stride * LANES
                    _accumulate(
                        BLOCK,
                        lines,
                        to,
                        padded,
                        at,
                        kernels,
                        kernel,
                        side,
                        columns,
                        side,
                        side,
                        stride,
                        1,
                    )
            for column in range(width):
                to = ((image * height + row) * width + column) * channels + begin
                for block in range(blocks):
                    at = block * line + column * LANES
                    _copy(results, to + block * LANES, lines, at, clamp)


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
    _, height, width, channels = gradient.shape
    images, rows, x_width = x.shape[:3]
    side, blocks = len(weight), (end - begin) // LANES
    taps = side * side
    columns = max((width - 1) * stride + side, left + x_width)
    size = max((height - 1) * stride + side, above + rows) * columns * LANES
    padded = np.zeros(blocks * size, np.float32)
    # The gradient, with zeros between its pixels if there is a stride: the gradient of the input
    # is the convolution of it with the kernel turned by 180 degrees.
    wide = -(-x_width // BLOCK) * BLOCK
    top, before = side - 1 - above, side - 1 - left
    pitch = max(wide - 1 + side, before + (width - 1) * stride + 1)
    given_size = max(rows - 1 + side, top + (height - 1) * stride + 1) * pitch * LANES
    given = np.zeros(blocks * given_size, np.float32)
    line = wide * LANES
    lines = np.empty(blocks * line, np.float32)
    turned, sums = _pack(weight, begin, end, True), _pack(of_weight, begin, end, False)
    flat_out, flat_gradient, flat_of_x = out.ravel(), gradient.ravel(), of_x.ravel()
    for image in range(images):
        _pad(padded, size, columns, above, left, x, image, begin, end)
        for row in range(height):
            for column in range(width):
                at = ((image * height + row) * width + column) * channels
                to = ((row * stride + top) * pitch + column * stride + before) * LANES
                for first in range(begin, end, LANES):
                    if clamp:
                        _copy_gradient(given, to, flat_gradient, at + first, flat_out, at + first)
                    else:
                        _copy(given, to, flat_gradient, at + first, False)
                    to += given_size
        for block in range(blocks):
            y = block * given_size + (top * pitch + before) * LANES
            for i in range(side):
                at, to = block * size + i * columns * LANES, (block * taps + i * side) * LANES
                x_row, y_row = stride * columns, stride * pitch
                if side == 3:
                    _accumulate(
                        3, sums, to, padded, at, given, y, height, x_row, y_row, width, 1, stride
                    )
                else:
                    _accumulate(
                        5, sums, to, padded, at, given, y, height, x_row, y_row, width, 1, stride
                    )
        for row in range(rows):
            lines[:] = 0
            i = (top - row) % stride  # the rows between are zero
            count, x_row, y_row = -(-(side - i) // stride), stride * pitch, stride * side
            for block in range(blocks):
                tap = (block * taps + i * side) * LANES
                for column in range(0, wide, BLOCK):
                    to = block * line + column * LANES
                    at = block * given_size + ((row + i) * pitch + column) * LANES
                    _accumulate(
                        BLOCK, lines, to, given, at, turned, tap, count, x_row, y_row, side, 1, 1
                    )
            for column in range(x_width):
                to = ((image * rows + row) * x_width + column) * channels + begin
                seen = ((row + above) * columns + left + column) * LANES
                at = column * LANES
                for _ in range(blocks):
                    _copy_gradient(flat_of_x, to, lines, at, padded, seen)
                    to, at, seen = to + LANES, at + line, seen + size
    flat_of_weight = of_weight.ravel()
    for block in range(blocks):
        for tap in range(taps):
            to = tap * channels + begin + block * LANES
            _copy(flat_of_weight, to, sums, (block * taps + tap) * LANES, False)
