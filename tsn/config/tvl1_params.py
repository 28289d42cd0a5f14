"""The parameters of TV-L1, validated, with nothing heavy imported."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import wraps
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, ValidationError, ValidationInfo
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from tsn.config.fields import WHOLE, Count, Number, doc
from tsn.config.messages import sentence
from tsn.runtime.errors import UserError

INNER_ITERATIONS = 30
"""Iterations between two median filters (`innerIterations` of OpenCV's DualTVL1OpticalFlow)."""

_RECORDED_AS = {"pyramid_levels": "scales"}
"""Names in the fingerprints of shards, which stay what they were."""


def _in_rounds(iterations: int) -> int:
    if iterations > INNER_ITERATIONS and iterations % INNER_ITERATIONS:
        raise PydanticCustomError("rounds", "is neither at most 30 nor a multiple of it")
    return iterations


def _without_median_filter(variant: str, info: ValidationInfo) -> str:
    # In a layer of the configuration, a key that is left out is None.
    if variant == "opencv_cuda" and (info.data.get("median_filter") or 1) > 1:
        raise PydanticCustomError("median", "has no median filter: set median_filter to 1")
    return variant


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class TVL1Params:
    """What TV-L1 (Zach, Pock, Bischof 2007) is run with.

    The defaults are those of OpenCV's CUDA implementation, which dense_flow uses, and differ
    from `cv2.optflow` only in the median filter, which that one has at 5.

    Raises:
        UserError: A value is outside its range; the message names the parameter.
    """

    tau: Annotated[
        Number, doc("time step of the dual update; the method is stable up to 0.25", gt=0)
    ] = 0.25
    lambda_: Annotated[
        Number, doc("weight of the data term against smoothness: smaller is smoother", gt=0)
    ] = 0.15
    theta: Annotated[
        Number, doc("tightness of the coupling between data term and smoothness", gt=0)
    ] = 0.3
    pyramid_levels: Annotated[
        Count,
        doc("most pyramid levels; none has a side below 16 px", le=100),
    ] = 5
    scale_step: Annotated[
        Number, doc("size of a level relative to the next finer one", gt=0, lt=1)
    ] = 0.8
    warps: Annotated[Count, doc("warps of the second frame per level", le=1000)] = 5
    epsilon: Annotated[
        Number,
        doc(
            "a warp's iterations stop when the flow's root mean square change per iteration falls "
            "to this, in px of the level",
            unit="px",
            ge=0,
        ),
    ] = 0.01
    iterations: Annotated[
        Count,
        AfterValidator(_in_rounds),
        doc("most iterations per warp: up to 30, or a multiple of 30", le=30_000),
    ] = 300
    median_filter: Annotated[
        Literal[1, 5],
        WHOLE,
        doc(
            "window of the median filter applied to the flow before every 30 iterations: 1 is off "
            "(cv2.cuda), 5 is cv2.optflow's default",
            unit="px",
        ),
    ] = 1
    gamma: Annotated[Number, doc("weight of the illumination term; 0 switches it off", ge=0)] = 0.0
    variant: Annotated[
        Literal["opencv", "opencv_cuda"],
        AfterValidator(_without_median_filter),
        doc(
            "whose TV-L1 the native engine computes: `opencv`: cv2.optflow's · `opencv_cuda`: "
            "cv2.cuda's, which published TSN models were trained on"
        ),
    ] = "opencv"

    @property
    def inner_iterations(self) -> int:
        """Iterations between two median filters, at most 30."""
        return min(self.iterations, INNER_ITERATIONS)

    @property
    def outer_iterations(self) -> int:
        """Most rounds of `inner_iterations` per warp."""
        return self.iterations // self.inner_iterations

    def as_dict(self) -> dict[str, float | int | str]:
        """Return every parameter by name, as a fingerprint records it.

        A `variant` is recorded where it is not "opencv", the only one that there was at first.
        """
        values = asdict(self)
        if values["variant"] == "opencv":
            del values["variant"]
        return {_RECORDED_AS.get(name, name): value for name, value in values.items()}

    @classmethod
    def from_record(cls, record: dict) -> "TVL1Params":
        """The parameters in a fingerprint, which may hold other keys.

        Raises:
            KeyError: one is missing.
        """
        record = {"variant": "opencv", **record}
        return cls(**{f.name: record[_RECORDED_AS.get(f.name, f.name)] for f in fields(cls)})


def variant_of(fingerprint: Mapping[str, Any]) -> str | None:
    """Whose TV-L1 flow of this fingerprint is, in the terms of `variant`; None: another method's.

    That of warped flow is whose TV-L1 was warped.
    """
    made: Mapping[str, Any] = fingerprint.get("tvl1", fingerprint)
    if made.get("algorithm") != "tvl1":
        return None
    return made.get("variant") or ("opencv" if made["backend"] == "native" else made["backend"])


_init = TVL1Params.__init__


@wraps(_init)
def _checked_init(self: TVL1Params, *args: Any, **values: Any) -> None:
    try:
        _init(self, *args, **values)
    except ValidationError as error:
        raise UserError(f"TV-L1 parameter {sentence(error)}") from None


TVL1Params.__init__ = _checked_init  # type: ignore[method-assign]
