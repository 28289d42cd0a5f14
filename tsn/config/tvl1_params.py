"""The parameters of TV-L1, validated, with nothing heavy imported.

A Snakefile imports this module while it is parsed, so numpy, OpenCV and Numba stay out.
"""

import math
from dataclasses import asdict, dataclass, fields

from tsn.runtime.errors import UserError

INNER_ITERATIONS = 30
"""Iterations between two median filters (`innerIterations` of OpenCV's DualTVL1OpticalFlow)."""

_RECORDED_AS = {"pyramid_levels": "scales"}
"""Names in the fingerprints of shards, which stay what they were."""


@dataclass(frozen=True)
class TVL1Params:
    """What TV-L1 (Zach, Pock, Bischof 2007) is run with.

    The defaults are those of OpenCV's CUDA implementation, which dense_flow uses, and differ
    from `cv2.optflow` only in the median filter, which that one has at 5.

    Attributes:
        tau: Time step of the dual update; the method is stable up to 0.25.
        lambda_: Weight of the data term against smoothness; smaller is smoother.
        theta: Tightness of the coupling between data term and smoothness.
        pyramid_levels: Most pyramid levels; fewer where a level would be below 16 px on a side.
        scale_step: Size of a level relative to the finer one, strictly between 0 and 1.
        warps: Warps of the second frame per level.
        epsilon: A warp's iterations stop when the flow's root mean square change per iteration
            falls to this, in px of the level.
        iterations: Most iterations per warp: up to 30, or a multiple of 30.
        median_filter: Window of the median filter applied to the flow before every 30
            iterations: 1 (off) or 5.
        gamma: Weight of the illumination term; 0 switches it off.

    Raises:
        UserError: A value is outside its range; the message names the parameter.
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    pyramid_levels: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    iterations: int = 300
    median_filter: int = 1
    gamma: float = 0.0

    def __post_init__(self) -> None:
        for name in ("tau", "lambda_", "theta", "scale_step", "epsilon", "gamma"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UserError(f"TV-L1 parameter {name} must be a number, not {value!r}")
            if not math.isfinite(value):
                raise UserError(f"TV-L1 parameter {name} must be finite, not {value!r}")
        for name in ("pyramid_levels", "warps", "iterations", "median_filter"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise UserError(f"TV-L1 parameter {name} must be a whole number, not {value!r}")
        for name in ("tau", "lambda_", "theta", "pyramid_levels", "warps", "iterations"):
            if getattr(self, name) <= 0:
                raise UserError(
                    f"TV-L1 parameter {name} must be above 0, not {getattr(self, name)!r}"
                )
        for name in ("epsilon", "gamma"):
            if getattr(self, name) < 0:
                raise UserError(
                    f"TV-L1 parameter {name} must not be negative: {getattr(self, name)!r}"
                )
        if not 0 < self.scale_step < 1:
            raise UserError(
                f"TV-L1 parameter scale_step must lie between 0 and 1, not {self.scale_step!r}"
            )
        if self.median_filter not in (1, 5):
            raise UserError(
                f"TV-L1 parameter median_filter must be 1 (off) or 5, not {self.median_filter!r}"
            )
        if self.iterations > INNER_ITERATIONS and self.iterations % INNER_ITERATIONS:
            raise UserError(
                f"TV-L1 parameter iterations must be at most {INNER_ITERATIONS} or a multiple of "
                f"it, not {self.iterations!r}"
            )

    @property
    def inner_iterations(self) -> int:
        """Iterations between two median filters, at most 30."""
        return min(self.iterations, INNER_ITERATIONS)

    @property
    def outer_iterations(self) -> int:
        """Most rounds of `inner_iterations` per warp."""
        return self.iterations // self.inner_iterations

    def as_dict(self) -> dict[str, float | int]:
        """Return every parameter by name, as a fingerprint records it."""
        return {_RECORDED_AS.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def from_record(cls, record: dict) -> "TVL1Params":
        """The parameters in a fingerprint, which may hold other keys.

        Raises:
            KeyError: one is missing.
        """
        return cls(**{f.name: record[_RECORDED_AS.get(f.name, f.name)] for f in fields(cls)})
