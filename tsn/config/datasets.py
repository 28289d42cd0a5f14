"""Where the videos of a data set are and how they are split: the keys of each layout."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag
from pydantic.dataclasses import dataclass
from pydantic_core import PydanticCustomError

from tsn.config.fields import (
    LAZY,
    MAP,
    NULLABLE,
    UNIQUE,
    WHOLE,
    Count,
    Folder,
    Name,
    Number,
    Seed,
    Text,
    Whole,
    doc,
)
from tsn.config.frame_folders import FrameFolders


def _expression(pattern: str | None) -> str | None:
    try:
        re.compile(pattern or "")
    except re.error as error:
        raise PydanticCustomError(
            "expression", "is not a regular expression: {error}", {"error": str(error)}
        ) from None
    return pattern


def _columns(columns: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
    for key in columns:
        if key not in _COLUMNS:
            raise PydanticCustomError("unknown_key", "", {"key": key, "known": _COLUMNS})
    return columns


def _kind_of_names(value: object) -> str:
    return "<list>" if isinstance(value, list) else "<name>"


def _kind_of_annotations(value: object) -> str:
    return "<map>" if isinstance(value, dict) else _kind_of_names(value)


Splits = Annotated[
    tuple[Count, ...], Field(min_length=1), UNIQUE, doc("which splits are run and averaged")
]
_COLUMNS = ["path", "label", "split", "group", "id", "start", "end", "start_frame", "end_frame"]

OfficialSplits = Annotated[
    tuple[Annotated[Literal[1, 2, 3], WHOLE], ...],
    Field(min_length=1),
    UNIQUE,
    doc("which splits are run and averaged; the official ones are 1, 2 and 3"),
]
Shards = Annotated[
    Whole,
    doc(
        "number of shards; fixed, so that a new video touches one shard. Aim at 5–10 minutes of "
        "flow per shard",
        ge=1,
        le=10000,
    ),
]
Videos = Annotated[Folder, doc("folder with one folder of videos per class")]
Classes = Annotated[
    Annotated[tuple[Text, ...], Field(min_length=1), UNIQUE] | None,
    NULLABLE,
    doc("only these classes; `null` means all"),
]
FRAME_FOLDERS = doc(
    "the videos are folders of images: `{naming: mmaction2}`, see "
    "[docs/data.md](../docs/data.md#folders-of-frames-and-flow)"
)
FrameFoldersKey = Annotated[FrameFolders | None, NULLABLE, FRAME_FOLDERS]


@dataclass(frozen=True, config=LAZY)
class OfficialDataset:
    """UCF101 or HMDB51 with their official lists."""

    name: Name
    layout: Literal["ucf101", "hmdb51"]
    videos: Videos
    lists: Annotated[
        Folder,
        doc(
            "folder with the official lists: `classInd.txt`, `trainlist01.txt` … (`ucf101`); "
            "`<class>_test_split1.txt` … (`hmdb51`)"
        ),
    ]
    splits: OfficialSplits = (1,)
    shards: Shards = 16
    classes: Classes = None
    frame_folders: FrameFoldersKey = None
    check_counts: Annotated[
        bool,
        doc(
            "stop if the lists have not the official numbers of videos; `false` for lists of your "
            "own"
        ),
    ] = True


@dataclass(frozen=True, config=LAZY)
class OwnSplits:
    """The keys of data sets that have no official splits: their own, or drawn ones."""

    name: Name
    videos: Videos
    parts: Annotated[
        dict[Text, Annotated[Literal["train", "test"] | None, NULLABLE]],
        MAP,
        doc(
            "what is done with a part, where docs/data.md leaves it open: "
            "`{val: train, extra: null}`"
        ),
    ] = Field(default_factory=dict)
    splits: Splits = (1,)
    folds: Annotated[
        Annotated[Whole, Field(ge=2, le=100)] | None, doc("`splits: {folds: 5}`: how many")
    ] = None
    shards: Shards = 16
    classes: Classes = None
    frame_folders: FrameFoldersKey = None
    test_ratio: Annotated[Number, doc("fraction of each class that is tested", gt=0, lt=1)] = 0.3
    group_pattern: Annotated[
        Annotated[str, AfterValidator(_expression)] | None,
        NULLABLE,
        doc(
            "regular expression searched in the video id (`class/name`, without ending); videos "
            "with the same match (its first group, if any) stay on one side of the split. "
            "`_(g\\d+)_` keeps UCF101's clips of one source together"
        ),
    ] = None
    split_seed: Annotated[Seed, doc("seed of the split")] = 1


@dataclass(frozen=True, config=LAZY)
class FolderDataset(OwnSplits):
    """A folder per class."""

    layout: Literal["folder"] = "folder"
    nested: Annotated[bool, doc("every folder with videos is a class, named by its whole path")] = (
        False
    )


@dataclass(frozen=True, config=LAZY)
class ListDataset(OwnSplits):
    """Videos, or clips of them, as lists name them."""

    annotations: Annotated[
        Annotated[Text, Tag("<name>")]
        | Annotated[list[Text], Tag("<list>")]
        | Annotated[dict[Text, Any], Tag("<map>")],
        Discriminator(_kind_of_annotations),
        doc(
            "a list, several, one per part (`{train: …, val: …, test: …}`), or per split and part "
            "(`{1: {train: …, test: …}}`)"
        ),
    ] = Field(kw_only=True)
    layout: Literal["list"] = "list"
    class_list: Annotated[str, doc("names of the classes, in their order")] = ""
    columns: Annotated[
        dict[
            Text,
            Annotated[
                Annotated[Text, Tag("<name>")] | Annotated[list[Text], Tag("<list>")],
                Discriminator(_kind_of_names),
            ],
        ],
        AfterValidator(_columns),
        MAP,
        doc("what the columns of a table are called: `{path: filename, label: [verb, noun]}`"),
    ] = Field(default_factory=dict)
    multi_label: Annotated[
        bool,
        doc(
            "rows that name a video again add a class to it, and Charades' videos are taken whole; "
            "`a|b` in a label names several classes in any case"
        ),
    ] = False


@dataclass(frozen=True, config=LAZY)
class DemoDataset:
    """The set of moving shapes that the project renders."""

    name: Name
    layout: Literal["demo"] = "demo"
    splits: Annotated[
        tuple[Annotated[Literal[1], WHOLE], ...],
        Field(min_length=1),
        UNIQUE,
        doc("the one split that it has"),
    ] = (1,)
    shards: Shards = 16
    train_per_class: Annotated[Count, doc("training clips of each of the nine classes")] = 8
    test_per_class: Annotated[Count, doc("test clips of each of the nine classes")] = 5
    render_seed: Annotated[Seed, doc("seed of the rendering")] = 1


DATASETS: dict[str, type] = {
    "ucf101": OfficialDataset,
    "hmdb51": OfficialDataset,
    "folder": FolderDataset,
    "list": ListDataset,
    "demo": DemoDataset,
}
"""By layout."""

DatasetConfig = Annotated[
    OfficialDataset | FolderDataset | ListDataset | DemoDataset, Field(discriminator="layout")
]
"""Where the videos of a data set are and how they are split."""
