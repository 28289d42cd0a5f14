"""Median filters over 5 x 5 windows for the native TV-L1 engine."""

from numba import njit
import numpy as np


@njit(nogil=True, cache=True)
def median_5x5(plane, height, width, scratch):
    pass
