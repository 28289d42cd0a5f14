"""Quantisation of flow to bytes, the way dense_flow stores it."""

import numpy as np

BOUND = 20.0
"""Default bound in px: larger motion is clipped (dense_flow's and the TSN release's)."""


MIN_BOUND, MAX_BOUND = 0.01, 10_000.0
"""Smallest and largest bound in px."""


def quantise(flow: np.ndarray, bound: float = BOUND) -> np.ndarray:
    """Return flow as bytes: round(255 * (v + bound) / (2 * bound)), clipped to 0..255.

    Halves are rounded up, so zero motion (127.5) becomes 128 as in dense_flow.

    Args:
        flow: Float array of any shape, in px.
        bound: Motion in px that 0 and 255 stand for (negated for 0).

    Returns:
        uint8 of the same shape.

    Raises:
        ValueError: The bound is out of range, or the flow is not finite.
    """
    check_bound(bound)
    values = np.asarray(flow, np.float32) * np.float32(127.5 / bound)
    if not np.isfinite(values).all():
        raise ValueError("flow contains NaN or infinite values: replace them first")
    # 127.5 + .5 for rounding: floor(v + 128) never depends on round-half-to-even.
    values += np.float32(128)
    np.floor(values, out=values)
    return values.clip(0, 255, out=values).astype(np.uint8)


def dequantise(data: np.ndarray, bound: float = BOUND) -> np.ndarray:
    """Return the flow that bytes stand for, float32 in px; within 1/2 step of the original.

    A step is 2 * bound / 255: 0.157 px at the default bound. Byte 128 becomes +0.078 px.

    Raises:
        ValueError: The bound is out of range, or the data are not bytes.
    """
    check_bound(bound)
    data = np.asarray(data)
    if data.dtype != np.uint8:
        raise ValueError(f"quantised flow must be uint8, not {data.dtype}")
    return (data.astype(np.float32) - np.float32(127.5)) * np.float32(bound / 127.5)


def clipped_fraction(flow: np.ndarray, bound: float = BOUND) -> float:
    """Return the fraction (0..1) of values whose magnitude exceeds the bound; 0.0 for no values.

    Raises:
        ValueError: The bound is out of range.
    """
    check_bound(bound)
    flow = np.asarray(flow)
    return float(np.mean(np.abs(flow) > bound)) if flow.size else 0.0


def check_bound(bound: float) -> None:
    """Raise ValueError if the bound is outside `MIN_BOUND` to `MAX_BOUND`."""
    if not MIN_BOUND <= bound <= MAX_BOUND:
        raise ValueError(f"bound must be {MIN_BOUND} to {MAX_BOUND} px, not {bound!r}")
