from itertools import product

import numpy as np

from tsn.flow.cuda.median_network import MEDIAN, NETWORK


def test_the_median_network_selects_the_median_of_all_zeros_and_ones():
    # The zero-one principle: right for these, right for all numbers.
    ones = np.array(list(product(range(6), repeat=5)))
    wires = [ones[:, k // 5] >= 5 - k % 5 for k in range(25)]
    for i, j in NETWORK:
        wires[i], wires[j] = wires[i] & wires[j], wires[i] | wires[j]
    np.testing.assert_array_equal(wires[MEDIAN], ones.sum(axis=1) >= 13)
