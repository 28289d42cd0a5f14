"""Colour-coded flow and figures of it."""

from functools import cache

import numpy as np

_ARCS = (
    (15, (255, 0, 0), (255, 255, 0)),
    (6, (255, 255, 0), (0, 255, 0)),
    (4, (0, 255, 0), (0, 255, 255)),
    (11, (0, 255, 255), (0, 0, 255)),
    (13, (0, 0, 255), (255, 0, 255)),
    (6, (255, 0, 255), (255, 0, 0)),
)
"""Steps, first and next colour of the wheel's arcs: 55 colours (Baker et al. 2011, their code)."""

_BEYOND = 0.75
"""Brightness of motion above the scale (Baker et al. 2011, their code)."""


@cache
def colour_wheel() -> np.ndarray:
    """Return the Middlebury colour wheel, float64 (55, 3) RGB in 0..255, whole numbers."""
    arcs = []
    for steps, first, following in _ARCS:
        rising = np.floor(255 * np.arange(steps)[:, None] / steps)
        arcs.append(first + np.sign(np.subtract(following, first)) * rising)
    return np.concatenate(arcs)


def colour_code(flow: np.ndarray, max_magnitude: float | None = None) -> np.ndarray:
    """Colour a flow field: hue is direction, saturation magnitude, white no motion.

    The coding of the Middlebury benchmark (Baker et al. 2011).

    Args:
        flow: float (2, H, W) in px, x then y, finite.
        max_magnitude: Magnitude in px of full saturation, beyond which colours are darkened;
            None takes the largest in `flow`.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        ValueError: `flow` is not (2, H, W) or not finite, or `max_magnitude` is not above 0 and
            finite.
    """
    flow = np.asarray(flow, np.float64)
    if flow.ndim != 3 or len(flow) != 2:
        raise ValueError(f"flow must have shape (2, height, width), not {flow.shape}")
    if not np.isfinite(flow).all():
        raise ValueError("flow must be finite: it holds NaN or infinity")
    if max_magnitude is not None and not 0 < max_magnitude < np.inf:
        raise ValueError(f"max_magnitude must be above 0 px and finite, not {max_magnitude!r}")
    magnitude = np.hypot(flow[0], flow[1])
    if max_magnitude is None:
        max_magnitude = max(magnitude.max(initial=0), np.finfo(float).tiny)
    radius = (magnitude / max_magnitude)[..., None]
    wheel = colour_wheel()
    # Negated as in the original, so that motion to the right is red.
    turn = (np.arctan2(-flow[1], -flow[0]) / np.pi + 1) / 2 * (len(wheel) - 1)
    lower = np.floor(turn).astype(int)
    weight = (turn - lower)[..., None]
    upper = (lower + 1) % len(wheel)
    colour = ((1 - weight) * wheel[lower] + weight * wheel[upper]) / 255
    colour = np.where(radius <= 1, 1 - radius * (1 - colour), colour * _BEYOND)
    return np.floor(255 * colour).astype(np.uint8)


def strip(
    frames: np.ndarray,
    flow: np.ndarray,
    warped: np.ndarray | None = None,
    columns: int = 4,
    max_magnitude: float | None = None,
) -> np.ndarray:
    """Draw a clip: a row of frames above their flow and, if given, their warped flow.

    Args:
        frames: uint8 (T, H, W) grey or (T, H, W, 3) RGB.
        flow: float (T-1, 2, H, W) in px.
        warped: float (T-1, 2, H, W) in px, or None.
        columns: Most pairs to show, spread evenly over the clip.
        max_magnitude: As for `colour_code`; None takes the largest motion shown, so that both
            rows of flow have one scale.

    Returns:
        uint8 (rows * H, shown * W, 3), RGB.

    Raises:
        ValueError: There is no pair to show, or numbers of frames and pairs disagree.
    """
    for name, field in (("flow", flow), ("warped", warped)):
        if field is not None and len(field) != len(frames) - 1:
            raise ValueError(
                f"{len(frames)} frames have {len(frames) - 1} pairs, not the {len(field)} of {name}"
            )
    if not len(flow) or columns < 1:
        raise ValueError("a strip needs at least one pair of frames and one column")
    shown = np.linspace(0, len(flow) - 1, min(columns, len(flow))).round().astype(int)
    fields = [field[shown] for field in (flow, warped) if field is not None]
    if max_magnitude is None:
        largest = max(float(np.hypot(field[:, 0], field[:, 1]).max()) for field in fields)
        max_magnitude = largest or 1.0
    images = frames[shown]
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=3)
    rows = [np.concatenate(list(images), axis=1)]
    for field in fields:
        coloured = [colour_code(one, max_magnitude) for one in field]
        rows.append(np.concatenate(coloured, axis=1))
    return np.concatenate(rows)
