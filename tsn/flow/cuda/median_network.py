"""A selection network for the median of 5 x 5 values: no branches, only minima and maxima.

The five values of every column are sorted once and shared by the five windows that contain them;
`NETWORK` then selects the median from five sorted columns.
"""

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
"""The wire on which `NETWORK` leaves the median."""
