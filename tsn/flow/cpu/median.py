"""The 5 x 5 median filter of the native TV-L1 engine, as a selection network.

A network of minima and maxima has no branches, so the same steps run on a whole vector of pixels.
The five values of every column are sorted once and shared by the five windows that contain them;
`NETWORK` then selects the median from five sorted columns.
"""

from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

COLUMN_SORT = ((0, 1), (3, 4), (2, 4), (2, 3), (0, 3), (0, 2), (1, 4), (1, 3), (1, 2))
"""Sorts five values; nine comparators are the fewest possible (Knuth, TAOCP 3, section 5.3.4)."""

NETWORK = (
    (0, 5), (6, 2), (4, 9), (3, 8), (1, 7), (17, 22), (18, 24), (20, 16), (23, 19), (15, 21),
    (22, 23), (2, 18), (9, 19), (0, 20), (5, 17), (7, 23), (8, 24), (6, 15), (3, 16), (1, 21),
    (4, 22), (23, 22), (5, 3), (2, 16), (14, 18), (13, 17), (12, 20), (11, 2), (10, 1), (16, 20),
    (8, 17), (7, 12), (9, 14), (3, 13), (2, 14), (4, 12), (15, 12), (21, 20), (9, 21), (1, 15),
    (8, 9), (16, 4), (23, 20), (13, 16), (1, 8), (12, 9), (15, 4), (23, 12), (11, 16), (9, 12),
    (15, 16), (2, 9), (8, 16), (23, 8), (21, 8), (4, 21), (3, 15), (4, 15), (16, 8), (23, 15),
    (2, 16), (21, 2), (15, 16), (21, 15),
)  # fmt: skip
"""Selects the median of five sorted columns of five, wire 5 * column + rank, on wire `MEDIAN`.

Each comparator (i, j) leaves the smaller value on wire i and the larger on wire j. Found by a
randomised greedy search over what is known of the order, and checked for all 6^5 combinations of
zeros and ones (the zero-one principle for selection networks).
"""

MEDIAN = 15


def _network_intrinsic(network, inputs, outputs):
    """Return a function of `inputs` floats, in a tuple, that gives the wires `outputs`."""

    @intrinsic
    def apply(typing_context, wires):
        signature = types.UniTuple(types.float32, len(outputs))(wires)

        def generate(context, builder, signature, args):
            values = cgutils.unpack_tuple(builder, args[0], inputs)
            for i, j in network:
                a, b = values[i], values[j]
                smaller = builder.fcmp_ordered("<", a, b)
                values[i] = builder.select(smaller, a, b)
                values[j] = builder.select(smaller, b, a)
            chosen = [values[k] for k in outputs]
            return context.make_tuple(builder, signature.return_type, chosen)

        return signature, generate

    return apply


_sorted_column = _network_intrinsic(COLUMN_SORT, 5, range(5))
_median_of_columns = _network_intrinsic(NETWORK, 25, (MEDIAN,))


@njit(nogil=True, cache=True)
def _sort_columns(plane, top, upper, y, lower, bottom, width, ranks):
    """Sort five rows of each column into ranks (5, width + 4), which begin two columns earlier."""
    for x in range(width):
        a, b, c, d, e = _sorted_column(
            (plane[top, x], plane[upper, x], plane[y, x], plane[lower, x], plane[bottom, x])
        )
        ranks[0, x + 2] = a
        ranks[1, x + 2] = b
        ranks[2, x + 2] = c
        ranks[3, x + 2] = d
        ranks[4, x + 2] = e
    for k in range(5):
        ranks[k, :2] = ranks[k, 2]
        ranks[k, width + 2 : width + 4] = ranks[k, width + 1]


@njit(nogil=True, cache=True)
def _select_medians(ranks, width, out, y):
    for x in range(width):
        wires = (
            ranks[0, x], ranks[1, x], ranks[2, x], ranks[3, x], ranks[4, x],
            ranks[0, x + 1], ranks[1, x + 1], ranks[2, x + 1], ranks[3, x + 1], ranks[4, x + 1],
            ranks[0, x + 2], ranks[1, x + 2], ranks[2, x + 2], ranks[3, x + 2], ranks[4, x + 2],
            ranks[0, x + 3], ranks[1, x + 3], ranks[2, x + 3], ranks[3, x + 3], ranks[4, x + 3],
            ranks[0, x + 4], ranks[1, x + 4], ranks[2, x + 4], ranks[3, x + 4], ranks[4, x + 4],
        )  # fmt: skip
        out[y, x] = _median_of_columns(wires)[0]


@njit(nogil=True, cache=True)
def median_5x5(plane, height, width, out, ranks):
    """Write the median of the 5 x 5 around each value; the edges are repeated outwards.

    The same as `cv2.medianBlur(plane, 5)`.

    Args:
        plane: float32 (>= height, >= width), finite; its top left is filtered.
        height: Rows to filter.
        width: Columns to filter.
        out: float32, as large; its top left is written. Not `plane`.
        ranks: float32 (5, >= width + 4), overwritten.
    """
    last = height - 1
    for y in range(height):
        top, upper = max(y - 2, 0), max(y - 1, 0)
        lower, bottom = min(y + 1, last), min(y + 2, last)
        _sort_columns(plane, top, upper, y, lower, bottom, width, ranks)
        _select_medians(ranks, width, out, y)
