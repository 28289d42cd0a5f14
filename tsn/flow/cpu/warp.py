"""Warping for the native TV-L1 engine: bicubic, with image gradients, fused with the data term.

The conventions are those of OpenCV 5's `remap` with INTER_CUBIC and a constant border of 0, which
`cv2.optflow` warps with: the cubic has A = -0.75, and what lies outside the frame is 0. (OpenCV 4
rounds positions to 1/32 px besides.) `cv2.cuda` warps with A = -0.5, and outside the frame is what
its edge has.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

MARGIN = 4
"""Pixels around a packed image: a 4 x 4 window just outside the frame reads only those."""


def cubic(a: float) -> tuple[np.float32, ...]:
    """The coefficients of the cubic with the free coefficient `a`, for `warp`.

    They are float32, because Numba takes float32 times a Python number to float64.
    """
    near_3, near_2, *far = (np.float32(k) for k in (a + 2, a + 3, a, 5 * a, 8 * a, 4 * a))
    return near_3, near_2, *far


_ONE = np.float32(1)
_TINY = np.finfo(np.float32).eps
"""Squared gradients below this count as this (calcGradRho and estimateV of OpenCV's TV-L1)."""


_FLOAT = ir.FloatType()
_INDEX = ir.IntType(32)


def _shuffle(builder, vector, lanes):
    mask = ir.Constant(ir.VectorType(_INDEX, len(lanes)), lanes)
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _gather(builder, scalars, lanes):
    """Return a vector of len(lanes) that holds scalars[lanes[i]] at i."""
    vector = ir.Constant(ir.VectorType(_FLOAT, len(scalars)), ir.Undefined)
    for k, scalar in enumerate(scalars):
        vector = builder.insert_element(vector, scalar, ir.Constant(_INDEX, k))
    return _shuffle(builder, vector, lanes)


@intrinsic
def _weighted_4x4(typing_context, image, start, stride, weights_x, weights_y, out, at):
    """Write a 4 x 4 weighted sum of a four-channel image to out[at : at + 4].

    Numba's loop vectoriser would gather here, and its superword vectoriser is off. So the few
    vector operations are given to LLVM directly; they are generic, LLVM lowers them for whichever
    processor runs them, and their order is fixed.

    Args:
        typing_context: Numba's.
        image: float32, 1-D: rows of `stride` values, four channels a pixel side by side.
        start: int64, index of the first channel of the window's top left pixel.
        stride: int64, values per row.
        weights_x: Four float32, left to right.
        weights_y: Four float32, top to bottom.
        out: float32, 1-D, written to.
        at: int64, where in `out` the four channels go.
    """
    signature = types.void(image, types.intp, types.intp, weights_x, weights_y, out, at)

    def generate(context, builder, signature, args):
        def pointer(argument, index, lanes):
            array = context.make_array(signature.args[argument])(context, builder, args[argument])
            target = ir.VectorType(_FLOAT, lanes).as_pointer()
            return builder.bitcast(builder.gep(array.data, [index]), target)

        across = cgutils.unpack_tuple(builder, args[3], 4)
        down = cgutils.unpack_tuple(builder, args[4], 4)
        position, total = args[1], None
        for weight in down:
            row = builder.load(pointer(0, position, 16), align=4)
            row = builder.fmul(row, _gather(builder, [weight], [0] * 16))
            total = row if total is None else builder.fadd(total, row)
            position = builder.add(position, args[2])
        # Lanes 4k to 4k+3 now hold the channels of column k.
        total = builder.fmul(total, _gather(builder, across, [k // 4 for k in range(16)]))
        for lanes in (8, 4):
            low = _shuffle(builder, total, list(range(lanes)))
            high = _shuffle(builder, total, list(range(lanes, 2 * lanes)))
            total = builder.fadd(low, high)
        builder.store(total, pointer(5, args[6], 4), align=4)
        return context.get_dummy_value()

    return signature, generate


@njit(nogil=True, cache=True)
def pack(image, packed):
    """Write an image and its centred gradients into a packed array.

    Args:
        image: float32 (H, W).
        packed: float32 (H + 2 * MARGIN, W + 2 * MARGIN, 4), zero in its margins; the last axis
            becomes grey value, x gradient, y gradient, 0. At the edges the gradient is half the
            difference to the only neighbour, as in OpenCV.
    """
    height, width = image.shape
    half = np.float32(0.5)
    for y in range(height):
        up, down = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            packed[y + MARGIN, x + MARGIN, 0] = image[y, x]
            packed[y + MARGIN, x + MARGIN, 1] = half * (image[y, right] - image[y, left])
            packed[y + MARGIN, x + MARGIN, 2] = half * (image[down, x] - image[up, x])


def repeat_edges(packed):
    """Fill the margins of a packed array with what the image's edges have."""
    inner = packed[MARGIN:-MARGIN]
    inner[:, :MARGIN] = inner[:, MARGIN : MARGIN + 1]
    inner[:, -MARGIN:] = inner[:, -MARGIN - 1 : -MARGIN]
    packed[:MARGIN] = inner[0]
    packed[-MARGIN:] = inner[-1]


@njit(nogil=True, cache=True, error_model="numpy")
def _locate(u, y, origin, slope, size, coefficients, stride, starts, weights):
    """Find where a row's windows start along one axis, and the weights of their four taps.

    Position x of row y lies at origin + slope * x + u[y, x]; to `starts` (W,) is added the index
    of the first tap, times `stride`; `weights` (4, W) gets the weights.
    """
    near_3, near_2, far_3, far_2, far_1, far_0 = coefficients
    lowest, highest = np.float32(1 - MARGIN), np.float32(size + 1)
    for x in range(starts.size):
        place = (origin + slope * np.float32(np.int32(x))) + u[y, x]
        whole = np.floor(place)
        t = place - whole
        s = _ONE - t
        far = t + _ONE
        first = ((far_3 * far - far_2) * far + far_1) * far - far_0
        second = (near_3 * t - near_2) * t * t + _ONE
        third = (near_3 * s - near_2) * s * s + _ONE
        weights[0, x] = first
        weights[1, x] = second
        weights[2, x] = third
        weights[3, x] = _ONE - first - second - third
        starts[x] += (np.int32(min(max(whole, lowest), highest)) + (MARGIN - 1)) * stride


@njit(nogil=True, cache=True, error_model="numpy")
def _sample(image, stride, starts, across, down, line):
    """Interpolate a row of the packed image into line (4 W,)."""
    for x in range(starts.size):
        _weighted_4x4(
            image,
            starts[x],
            stride,
            (across[0, x], across[1, x], across[2, x], across[3, x]),
            (down[0, x], down[1, x], down[2, x], down[3, x]),
            line,
            x * 4,
        )


@njit(nogil=True, cache=True, error_model="numpy")
def _linearise_row(y, line, first, u1, u2, gx, gy, inverse, rho):
    for x in range(first.shape[1]):
        grey, dx, dy = line[4 * x], line[4 * x + 1], line[4 * x + 2]
        gx[y, x] = dx
        gy[y, x] = dy
        inverse[y, x] = _ONE / max(dx * dx + dy * dy, _TINY)
        rho[y, x] = ((grey - dx * u1[y, x]) - dy * u2[y, x]) - first[y, x]


@njit(nogil=True, cache=True, error_model="numpy")
def warp(first, packed, coefficients, u1, u2, gx, gy, inverse, rho, starts, weights, line):
    """Warp the second frame by the flow and linearise the data term there.

    Args:
        first: float32 (H, W), the first frame in grey levels.
        packed: The second frame, as `pack` makes it.
        coefficients: Of the interpolation, as `cubic` makes them.
        u1: Plane of x flow in px.
        u2: Plane of y flow in px.
        gx: Plane that gets the warped x gradient.
        gy: Plane that gets the warped y gradient.
        inverse: Plane that gets 1 / squared gradient.
        rho: Plane that gets the constant part of the residual: warped - gradient . flow - first.
        starts: int32 (W,), overwritten.
        weights: float32 (8, W), overwritten.
        line: float32 (4 W,), overwritten.
    """
    height, width = first.shape
    image = packed.reshape(packed.size)
    stride = packed.shape[1] * 4
    across, down = weights[:4], weights[4:]
    zero = np.float32(0)
    for y in range(height):
        starts[:] = 0
        _locate(u1, y, zero, _ONE, width, coefficients, 4, starts, across)
        _locate(u2, y, np.float32(y), zero, height, coefficients, stride, starts, down)
        _sample(image, stride, starts, across, down, line)
        _linearise_row(y, line, first, u1, u2, gx, gy, inverse, rho)
