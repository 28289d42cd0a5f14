"""What a file of the configuration may hold: the keys of `tsn.config.schema`, layer by layer.

Every key may be absent, and none is unknown. Nothing here imports numpy, torch or pandas: it runs
while the Snakefile is parsed.
"""

from typing import Annotated, Any, Literal, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

from tsn.config.datasets import (
    DATASETS,
    FRAME_FOLDERS,
    DemoDataset,
    FolderDataset,
    ListDataset,
    OfficialDataset,
    Splits,
)
from tsn.config.fields import (
    MAP,
    NULLABLE,
    SHORT,
    UNIQUE,
    Name,
    Seed,
    Text,
    Whole,
    doc,
    shaped,
)
from tsn.config.frame_folders import FrameFolders
from tsn.config.presets import PRESETS
from tsn.config.schema import (
    DataConfig,
    FeaturesConfig,
    FlowConfig,
    FramesConfig,
    FusionConfig,
    Modalities,
    Modality,
    ModelConfig,
    ReportConfig,
    TestConfig,
    TrainingConfig,
)
from tsn.config.tvl1_params import TVL1Params
from tsn.models.modality import MODALITIES

# No underscore: it parts the names of table and data set in results/tables/{table}_{dataset}.md.
TableName = Annotated[
    Text, SHORT, shaped(r"[A-Za-z0-9][A-Za-z0-9.-]*", "letters, digits, . and -, a letter first")
]
_ExperimentName = Annotated[
    Name, shaped(r"(?!clips$).*", "free: the report's clips lie in results/{dataset}/clips")
]


def _kind_of_splits(value: object) -> str:
    return "<map>" if isinstance(value, dict | Layer) else "<list>"


class Layer(BaseModel):
    """Keys of a file, or of an override in it: each may be absent, and none is unknown."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_key(cls, keys: object) -> object:
        keys = {} if keys is None else keys
        for key in keys if isinstance(keys, dict) else ():
            if key not in cls.model_fields:
                raise PydanticCustomError(
                    "unknown_key", "", {"key": str(key), "known": list(cls.model_fields)}
                )
        return keys


def _layer_of(name: str, kinds: tuple[type, ...] = (), /, **more: Any) -> type[Layer]:
    """The layer with the keys of some blocks; a key in `more` takes the place of theirs."""
    hints = {k: v for kind in kinds for k, v in get_type_hints(kind, include_extras=True).items()}
    keys: dict[str, Any] = {key: (hint, None) for key, hint in (hints | more).items() if hint}
    return create_model(name, __base__=Layer, **keys)


def _per_modality(kind: type) -> Any:
    return Annotated[
        dict[Modality, _layer_of(f"{kind.__name__}PerModality", (kind,))],  # type: ignore[misc]
        MAP,
        doc("the same keys for one modality; they win over the others of their layer"),
    ]


_Preset = Annotated[
    Literal[PRESETS],  # type: ignore[valid-type]
    doc(
        "a published schedule: `tsn_pytorch`, `caffe` (HMDB51 has its own there) or `paper`, which "
        "stands for the keys marked *preset* of every modality, as if they were written in its "
        "place; those beside it win over it. "
        "[tsn/config/presets.py](../tsn/config/presets.py) lists the values"
    ),
]
_SeedKey = Annotated[
    Seed, doc("seeds initial weights, order, segments, crops, flips and dropout", "ours")
]
_ModalitiesKey = Annotated[
    Modalities,
    doc("which networks are trained: " + ", ".join(f"`{m}`" for m in MODALITIES), "paper"),
]
_LAYERS: dict[str, Any] = {
    "data": _layer_of("Data", (DataConfig,)),
    "frames": _layer_of("Frames", (FramesConfig,)),
    "flow": _layer_of("Flow", (FlowConfig, TVL1Params), params=None),
    "model": _layer_of("Model", (ModelConfig,), per_modality=_per_modality(ModelConfig)),
    "training": _layer_of(
        "Training", (TrainingConfig,), preset=_Preset, per_modality=_per_modality(TrainingConfig)
    ),
    "test": _layer_of("Test", (TestConfig,)),
    "fusion": _layer_of("Fusion", (FusionConfig,)),
    "features": _layer_of("Features", (FeaturesConfig,)),
    "report": _layer_of("Report", (ReportConfig,)),
}
# Shards are shared by all experiments of a data set, so frames and flow are not theirs to set.
_EXPERIMENT: dict[str, Any] = {"seed": _SeedKey, "modalities": _ModalitiesKey} | {
    name: _LAYERS[name] for name in ("model", "training", "test", "fusion", "features", "report")
}
Override = _layer_of(
    "Override", **_EXPERIMENT, **{k: _LAYERS[k] for k in ("data", "frames", "flow")}
)
DatasetLayer = _layer_of(
    "Dataset",
    (OfficialDataset, FolderDataset, ListDataset, DemoDataset),
    name=None,
    folds=None,
    layout=Annotated[
        Literal[tuple(DATASETS)],
        doc(
            "`ucf101`, `hmdb51`: official lists · `folder`: one folder per class · `list`: "
            "videos or clips as lists name them ([docs/data.md](../docs/data.md)) · `demo`: "
            "rendered by the project"
        ),
    ],
    splits=Annotated[
        Annotated[Splits, Tag("<list>")]
        | Annotated[_layer_of("Folds", folds=Annotated[Whole, Field(ge=2, le=100)]), Tag("<map>")],
        Discriminator(_kind_of_splits),
        doc(
            "which splits are run and averaged; official layouts have 1, 2, 3. `folder`, `list`: "
            "also `{folds: 5}`"
        ),
    ],
    frame_folders=Annotated[
        _layer_of("FrameFolders", (FrameFolders,)) | None,
        NULLABLE,
        FRAME_FOLDERS,
    ],
    override=Annotated[
        Override, doc("any of the blocks below (and `seed`, `modalities`), for this data set only")
    ],
)
Document = _layer_of(
    "Configuration",
    experiment=Annotated[
        Text,
        doc(
            "the experiment shown in `results/fusion_{dataset}.json`; any other is "
            "`results/{dataset}/{experiment}/fusion.json`",
            "ours",
        ),
    ],
    **{**_EXPERIMENT, **_LAYERS},
    datasets=Annotated[dict[Name, DatasetLayer], MAP],  # type: ignore[valid-type]
    experiments=Annotated[
        dict[_ExperimentName, _layer_of("Experiment", **_EXPERIMENT)],  # type: ignore[misc]
        MAP,
    ],
    table_seeds=Annotated[
        tuple[Seed, ...],
        UNIQUE,
        doc(
            "every cell is the mean over these seeds, with its standard deviation; `[]`: one run "
            "with the experiment's own seed"
        ),
    ],
    tables=Annotated[
        dict[
            TableName, Annotated[dict[Text, Annotated[Text | None, NULLABLE]], Field(min_length=1)]
        ],
        MAP,
        doc("the paper's comparisons"),
    ],
)
"""One file of the configuration."""
