"""The blocks of the configuration, as dataclasses. config/README.md explains every key.

Nothing here imports numpy, torch or pandas: it is imported while the Snakefile is parsed.
"""

from dataclasses import dataclass, field, fields

from tsn.config.tvl1_params import TVL1Params


@dataclass(frozen=True)
class DatasetConfig:
    """Where the videos of a data set are and how they are split."""

    name: str
    layout: str
    videos: str = ""
    lists: str = ""
    annotations: str | list | dict = ""
    class_list: str = ""
    columns: dict[str, str | list[str]] = field(default_factory=dict)
    parts: dict[str, str | None] = field(default_factory=dict)
    nested: bool = False
    splits: tuple[int, ...] = (1,)
    folds: int | None = None
    shards: int = 16
    classes: tuple[str, ...] | None = None
    check_counts: bool = True
    test_ratio: float = 0.3
    group_pattern: str | None = None
    split_seed: int = 1
    train_per_class: int = 12
    test_per_class: int = 6
    render_seed: int = 1


@dataclass(frozen=True)
class DataConfig:
    """What to do about videos that cannot be used, and from how many frames on one cannot."""

    missing: str
    invalid_rows: str
    max_quarantined: int
    max_frames: int


@dataclass(frozen=True)
class FramesConfig:
    """Size (width, height) in pixels of every stored frame, and the quality of its JPEG."""

    size: tuple[int, int]
    jpeg_quality: int


@dataclass(frozen=True)
class FlowConfig:
    """TV-L1's engine and parameters, the bound in px of the quantisation, and the algorithm.

    `weights` and `sha256` are RAFT's.
    """

    backend: str
    bound: float
    params: TVL1Params
    algorithm: str = "tvl1"
    weights: str = "default"
    sha256: str | None = None

    @classmethod
    def from_dict(cls, block: dict) -> "FlowConfig":
        """Split the flat block of config.yaml into engine, bound, parameters and algorithm."""
        own = {"backend", "bound", "algorithm", "weights", "sha256"}
        rest = {key: value for key, value in block.items() if key not in own}
        return cls(
            block["backend"],
            float(block["bound"]),
            TVL1Params(**rest),
            block["algorithm"],
            block["weights"],
            block["sha256"],
        )


@dataclass(frozen=True)
class ModelConfig:
    """The network: backbone, its weights, consensus, side of its input in pixels."""

    backbone: str
    weights: str
    sha256: str | None
    cross_modality: bool
    consensus: str
    input_size: int


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe of one modality (`per_modality` already applied).

    Exactly one of `epochs` and `iterations` is set; `lr_milestones` counts in the same unit.
    """

    segments: int
    batch_size: int
    micro_batch: int
    lr_milestones: tuple[int, ...]
    lr: float
    momentum: float
    weight_decay: float
    clip_gradient: float | None
    dropout: float
    partial_bn: bool
    crop_scales: tuple[float, ...]
    flip: bool
    precision: str
    compile: bool
    validation: float
    keep: str
    epochs: int | None = None
    iterations: int | None = None


@dataclass(frozen=True)
class TestConfig:
    """The test protocol: snippets per video, crops per snippet, crop side in frame pixels."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    segments: int
    crops: int
    crop_size: int
    snippet_sampling: str


@dataclass(frozen=True)
class FusionConfig:
    """Weights of the modalities' scores; `compare` holds further combinations to report.

    `fuse` is what the weights apply to: "logits" or "probabilities", after softmax.
    """

    weights: dict[str, float]
    compare: dict[str, dict[str, float]] = field(default_factory=dict)
    fuse: str = "logits"


BLOCKS = {
    "data": DataConfig,
    "frames": FramesConfig,
    "flow": FlowConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "test": TestConfig,
    "fusion": FusionConfig,
}


def build(kind: type, block: dict):
    """A dataclass from a config block; lists become tuples so that the result is hashable."""
    names = {f.name for f in fields(kind)}
    return kind(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in block.items() if k in names}
    )
