"""How programs name the images of a video: templates and presets, for reading and for writing.

A template is a path relative to the folder of the video, with `{:05d}` for the number of the image;
`{name}` and `{parent}` stand for the names of that folder and of the one above it.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TAR = ".tar"
"""Ending of an archive with the folder of a video."""

_NUMBER = re.compile(r"\{:0?\d*d?\}")


@dataclass(frozen=True)
class Naming:
    """What the images of a video are called.

    Attributes:
        rgb: template of the frames.
        flow: templates of the flow, x and y; None where there is none.
        start: number of the first image; None for 0 or 1, whichever there is.
        nested: whether folders of videos lie in folders of classes, where they are written.
        flow_stride: frames from one flow field to the next.
    """

    rgb: str
    flow: tuple[str, str] | None = None
    start: int | None = None
    nested: bool = False
    flow_stride: int = 1


_TSN = ("img_{:05d}.jpg", ("flow_x_{:05d}.jpg", "flow_y_{:05d}.jpg"))
NAMINGS = {
    "mmaction2": Naming(*_TSN, start=1, nested=True),
    "denseflow": Naming(*_TSN, start=0, nested=True),
    "dense_flow": Naming(*_TSN, start=1),
    "tsn_pytorch": Naming(*_TSN, start=1),
    "twostreamfusion": Naming(
        "frame{:06d}.jpg",
        (
            "../../tvl1_flow/u/{name}/frame{:06d}.jpg",
            "../../tvl1_flow/v/{name}/frame{:06d}.jpg",
        ),
    ),
    "something_something": Naming("{:05d}.jpg"),
    "jester": Naming("{:05d}.jpg"),
    "epic_kitchens": Naming(
        "frame_{:010d}.jpg",
        (
            "../../flow_frames/{name}/u/frame_{:010d}.jpg",
            "../../flow_frames/{name}/v/frame_{:010d}.jpg",
        ),
        flow_stride=2,
    ),
}
"""By program or data set. `dense_flow` (yjxiong) writes the second frame of every pair, so as many
images as flow fields, from 1; `denseflow` (open-mmlab) all frames, from 0. EPIC-Kitchens has flow
for every second frame."""

WRITABLE = tuple(name for name, naming in NAMINGS.items() if (naming.rgb, naming.flow) == _TSN)
"""Namings that frames and flow can be exported in."""


def check_template(template: str) -> str | None:
    """What is wrong with a template; None if nothing is."""
    folder, name = os.path.split(template)
    plain = folder.replace("{name}", "").replace("{parent}", "")
    if len(_NUMBER.findall(name)) != 1 or re.search(r"[{}]", _NUMBER.sub("", plain + name)):
        return (
            "is no template: the name of an image has one number such as {:05d}, and its folder "
            "may have {name} and {parent}"
        )
    if not name.lower().endswith((".jpg", ".jpeg", ".png")):
        return "is no template: images end in .jpg, .jpeg or .png"
    return None


def folder_of(template: str, video: Path) -> Path:
    """The folder with the images of a video."""
    folder = os.path.dirname(template)  # noqa: PTH120 - a template is no path yet
    folder = folder.replace("{name}", video.name).replace("{parent}", video.parent.name)
    return Path(os.path.normpath(video / folder))


def number_of(template: str) -> Callable[[str], int | None]:
    """A function: name of a file -> number of the image; None for a file of another name."""
    name = os.path.basename(template)  # noqa: PTH119
    before, after = (re.escape(part) for part in _NUMBER.split(name))
    pattern = re.compile(f"{before}(\\d+){after}")

    def number(file: str) -> int | None:
        found = pattern.fullmatch(file)
        return int(found[1]) if found and name.format(int(found[1])) == file else None

    return number
