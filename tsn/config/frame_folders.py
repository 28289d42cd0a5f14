"""Keys of data sets whose videos are folders of images."""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from tsn.config.fields import LAZY, NULLABLE, Number, Text, Whole, doc
from tsn.video.naming import NAMINGS, Naming, check_template


def _template(template: str) -> str:
    if wrong := check_template(template):
        raise PydanticCustomError("template", wrong)
    return template


Template = Annotated[Text, AfterValidator(_template)]


@dataclass(frozen=True, config=LAZY)
class FrameFolders:
    """Videos as folders of frames and, where there is any, of flow; or as tar archives of them."""

    naming: Annotated[
        Literal[tuple(NAMINGS)],  # type: ignore[valid-type]
        doc("the program or data set that the images are named by"),
    ] = "mmaction2"
    rgb: Annotated[Template | None, doc("template of the frames, over that of `naming`")] = None
    flow: Annotated[
        tuple[Template, Template] | None, doc("templates of the flow, x and y, over those")
    ] = None
    compute_flow: Annotated[
        bool, doc("compute the flow from the frames, whatever flow there is")
    ] = False
    start: Annotated[
        Annotated[Whole, Field(ge=0)] | None,
        NULLABLE,
        doc("number of the first image; `null`: 0 or 1, whichever there is"),
    ] = None
    bound: Annotated[
        Number, doc("motion that 0 and 255 stand for in the flow", unit="px", ge=0.01, le=10_000)
    ] = 20.0
    flow_stride: Annotated[
        Annotated[Whole, Field(ge=1)] | None,
        NULLABLE,
        doc("frames from one flow field to the next; `null`: that of `naming`"),
    ] = None
    frame_rate: Annotated[
        Annotated[Number, Field(gt=0)] | None,
        NULLABLE,
        doc("frames a second, for clips that are given in seconds"),
    ] = None

    @property
    def names(self) -> Naming:
        """The naming with the keys that win over it."""
        naming = NAMINGS[self.naming]
        return replace(
            naming,
            rgb=self.rgb or naming.rgb,
            flow=None if self.compute_flow else self.flow or naming.flow,
            start=self.start,
            flow_stride=1 if self.compute_flow else self.flow_stride or naming.flow_stride,
        )
