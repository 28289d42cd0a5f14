"""The configuration: every key with its type, range and meaning, in one place; those of data sets
are in `tsn.config.datasets`, what a file may hold in `tsn.config.document`.

From here come the checks and their sentences, the table of keys in config/README.md
(`tsn.config.table`), the JSON schema and the objects that the code uses. config/config.yaml holds
the defaults. Nothing here imports numpy, torch or pandas: it runs while the Snakefile is parsed.
"""

from typing import Annotated, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from tsn.config.fields import (
    LAZY,
    MAP,
    NULLABLE,
    UNIQUE,
    WHOLE,
    Count,
    Name,
    Number,
    Text,
    Whole,
    doc,
    shaped,
)
from tsn.config.tvl1_params import TVL1Params
from tsn.models.modality import MAX_FLOW_STEP, SNIPPET_LENGTH
from tsn.video import MAX_SIDE

Segments = Annotated[Whole, Field(ge=1, le=1000)]
Modality = Literal["rgb", "flow", "warped_flow", "rgb_diff"]
Modalities = Annotated[tuple[Modality, ...], Field(min_length=1), UNIQUE]
Weights = Annotated[
    dict[Modality, Annotated[Number, Field(ge=0)]], Field(min_length=1)
]  # of modalities
Side = Annotated[Whole, Field(ge=16, le=MAX_SIDE)]
Fraction = Annotated[Number, Field(ge=0, lt=1)]
Sha256: TypeAlias = Annotated[
    Annotated[
        Text,
        shaped(
            "[0-9a-fA-F]{8,64}", "a SHA-256 in hexadecimal, all 64 digits or at least the first 8"
        ),
    ]
    | None,
    NULLABLE,
]


def _map_or_name(value: object) -> str:
    return "<map>" if isinstance(value, dict) else "<name>"


ClassWeights = Annotated[
    Annotated[
        dict[Text, Annotated[Number, Field(ge=0)]], Field(min_length=1), Tag("<map>")
    ]  # of classes
    | Annotated[Literal["none", "balanced"], Tag("<name>")],
    Discriminator(_map_or_name),
    doc(
        "weights of the classes in the loss: `none`; `balanced`, videos / (classes × videos of the "
        "class), whose mean over the videos is 1; or your own, `{fall: 5}`, 1 for those not named",
        "ours",
    ),
]
Swap = Annotated[dict[Text, Text], Field(min_length=1)]
Flip = Annotated[
    Annotated[bool, Tag("<name>")]
    | Annotated[dict[Literal["swap"], Swap], Field(min_length=1), Tag("<map>")],
    Discriminator(_map_or_name),
    doc(
        "mirror half of the videos; `{swap: {turn left: turn right}}` as well, where mirroring "
        "exchanges classes: their labels in the training and their scores of mirrored crops in the "
        "test are exchanged, too",
        "P, C",
    ),
]


Pooling = Annotated[
    Text, shaped("average|max|window|top[1-9][0-9]*", "average, max, window, or top2, top3 ...")
]


@dataclass(frozen=True, config=LAZY)
class DataConfig:
    """What to do about videos that cannot be used, and from how many frames on one cannot."""

    missing: Annotated[
        Literal["quarantine", "exclude"],
        doc(
            "listed videos that are not on disk: `quarantine` (reported, counted as wrong in the "
            "test) or `exclude` (reported, left out: for work on a subset)"
        ),
    ]
    invalid_rows: Annotated[
        Literal["quarantine", "refuse"],
        doc(
            "rows of a list that cannot be used: `quarantine` (left out and reported with their "
            "lines in `index.txt`) or `refuse` (the run stops)"
        ),
    ]
    max_quarantined: Annotated[
        Whole,
        doc(
            "more unusable videos than this in a stream stop the run before training and are "
            "listed",
            ge=0,
        ),
    ]
    max_frames: Annotated[
        Whole,
        doc(
            "a video with more frames is quarantined (`too_long`): cut it into clips. Bounds the "
            "size of a shard: 100,000 frames are 2.4 GB of RGB and as much flow",
            ge=2,
        ),
    ]


@dataclass(frozen=True, config=LAZY)
class FramesConfig:
    """The stored frames. Exactly one of `size` and `short_side` is set."""

    size: Annotated[
        tuple[Side, Side] | None,
        doc(
            "width and height of every stored frame and flow field, whatever the video's own",
            "P, C",
            "px",
        ),
    ] = None
    jpeg_quality: Annotated[
        Whole, doc("of stored RGB frames", "C (OpenCV's default)", "1–100", ge=1, le=100)
    ] = Field(default=...)
    short_side: Annotated[
        Side | None,
        doc("shorter side of the frames, which keep their aspect; in place of `size`", "M2", "px"),
    ] = None

    @property
    def target(self) -> tuple[int, int] | int:
        """Width and height of the frames, or their shorter side."""
        target = self.size or self.short_side
        assert target is not None
        return target


@dataclass(frozen=True, config=LAZY)
class FlowConfig:
    """TV-L1's engine and parameters, the bound of the quantisation, and the algorithm.

    In YAML the parameters stand beside the other keys. `weights` and `sha256` are RAFT's.
    """

    backend: Annotated[
        Literal["auto", "native", "native_cpu", "native_cuda", "opencv", "opencv_cuda"],
        doc(
            "`native`: our engine, on an NVIDIA GPU where there is one (`native_cuda`), else on "
            "the CPU (`native_cpu`) · `opencv`: cv2.optflow on the CPU · `opencv_cuda`: cv2.cuda, "
            "if your OpenCV has it · `auto`: `opencv_cuda` where it can run and is the `variant`, "
            "else `native`"
        ),
    ]
    bound: Annotated[
        Number,
        doc(
            "flow is clipped to ± this and stored as round(255 (v + bound) / (2 bound)); smaller "
            "frames have smaller motions and want a smaller bound",
            unit="px",
            ge=0.01,
            le=10_000,
        ),
    ]
    params: TVL1Params
    algorithm: Annotated[
        Literal["tvl1", "dis", "farneback", "nvof", "raft", "raft_small"],
        doc(
            "`tvl1` · `dis`, `farneback`: of OpenCV, faster and coarser · `nvof`: of NVIDIA's "
            "hardware, by an OpenCV with CUDA · `raft`, `raft_small`: networks of torchvision; the "
            "other keys but `bound` are those of `tvl1`; "
            "[docs/flow.md](../docs/flow.md)"
        ),
    ] = "tvl1"
    weights: Annotated[
        Text,
        doc(
            "of `raft`: torchvision's name of them (`default`: its best), or a file with a state "
            "dict"
        ),
    ] = "default"
    sha256: Annotated[Sha256, doc("checksum of that file, in hex")] = None
    step: Annotated[
        Whole, doc("frames from the first to the second of a pair", ge=1, le=MAX_FLOW_STEP)
    ] = 1


@dataclass(frozen=True, config=LAZY)
class ModelConfig:
    """The network of one modality (`per_modality` already applied)."""

    backbone: Annotated[
        Text,
        doc(
            "`efficientnet_lite0`, `bn_inception` (the paper's), `clarifai`, any classification "
            "model of torchvision by its name, such as `googlenet`, `vgg16`, `resnet50`, or "
            "`timm:` and a model of timm; [docs/models.md](../docs/models.md)",
            "ours: its weights come with pip",
        ),
    ]
    weights: Annotated[
        Text,
        doc(
            "`imagenet`, `imagenet_v2`, `kinetics400`, `something_v2`, `none`, or the path or "
            "address of a file: a state dict, or a model of this pipeline, of tsn-pytorch or of "
            "mmaction2; [docs/models.md](../docs/models.md)",
            "paper",
        ),
    ]
    sha256: Annotated[
        Sha256,
        doc(
            "checksum of the file, or at least its first 8 digits; checked before it is loaded. An "
            "address needs it, unless its name ends in the digits"
        ),
    ]
    cross_modality: Annotated[
        bool,
        doc(
            "start flow and RGB difference from the ImageNet weights, conv1 averaged over RGB; "
            "`false` starts them from scratch",
            "paper",
        ),
    ]
    consensus: Annotated[
        Text,
        shaped(
            "average|max|weighted|top[1-9][0-9]*",
            "average, max, weighted, or the k highest snippets of each class, such as top2",
        ),
        doc(
            "how segments are combined: `average`, `max`, `weighted`, or `top2`, `top3` …: the "
            "average of each class's 2, 3 … highest",
            "paper",
        ),
    ]
    input_size: Annotated[Side, doc("side of the network's input", "paper", "px")]
    snippet_length: Annotated[
        Whole,
        doc("flow fields, or differences of frames, in a snippet; RGB has one frame", ge=1, le=64),
    ] = SNIPPET_LENGTH


@dataclass(frozen=True, config=LAZY)
class TrainingConfig:
    """The recipe of one modality (`per_modality` already applied).

    Exactly one of `epochs` and `iterations` is set; `lr_milestones` counts in the same unit.
    """

    segments: Annotated[Segments, doc("K, segments per video", "paper")]
    batch_size: Annotated[Count, doc("videos per optimiser step, over all GPUs", "preset")]
    micro_batch: Annotated[
        Count,
        doc(
            "videos in memory at a time; gradients add up to `batch_size`. A GPU takes as many "
            "micro-batches at once as fit. 16 videos of 3 segments at 224 px take about 4 GB with "
            "EfficientNet-Lite0",
            "ours",
        ),
    ]
    lr_milestones: Annotated[
        tuple[Count, ...],
        UNIQUE,
        doc("epochs (or iterations) from which on the learning rate is divided by 10", "preset"),
    ]
    lr: Annotated[
        Number,
        doc(
            "learning rate of SGD; biases at 2×, the first convolution of flow networks at 5×",
            "preset",
            gt=0,
        ),
    ]
    momentum: Annotated[Fraction, doc("of SGD", "P")]
    weight_decay: Annotated[
        Number, doc("of SGD; biases and batch normalisation are not decayed", "P", ge=0)
    ]
    clip_gradient: Annotated[
        Annotated[Number, Field(gt=0)] | None,
        NULLABLE,
        doc("largest total norm of the gradient; `null` for none", "preset"),
    ]
    dropout: Annotated[Fraction, doc("before the last layer", "preset")]
    partial_bn: Annotated[
        bool,
        doc(
            "freeze all batch normalisation but the first; has no effect on a network that starts "
            "from scratch",
            "paper",
        ),
    ]
    crop_scales: Annotated[
        tuple[Annotated[Number, Field(gt=0, le=1)], ...],
        Field(min_length=1),
        doc("crop sides as fractions of the frame's shorter side", "preset"),
    ]
    flip: Flip
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        doc(
            "`fp32`, `bf16`, `fp16` (with scaled gradients), or `auto`: on GPUs the half precision "
            "that they have",
            "ours",
        ),
    ]
    compile: Annotated[
        bool,
        doc(
            "compile the network (`torch.compile`): minutes at the start, faster steps on a GPU; "
            "needs a C++ compiler",
            "ours",
        ),
    ]
    validation: Annotated[
        Fraction,
        doc(
            "fraction of the training videos that is held out in whole groups and scored after "
            "every epoch, see [docs/training.md](../docs/training.md)",
            "ours",
        ),
    ]
    keep: Annotated[
        Literal["last", "best"],
        doc("with validation, which model goes on to the test: `last` or `best`", "paper"),
    ]
    epochs: Annotated[
        Count | None,
        doc("length of the training; a layer that sets it unsets `iterations` below it", "preset"),
    ] = None
    iterations: Annotated[
        Count | None,
        doc("the same in optimiser steps, which `lr_milestones` then counts, too", "preset"),
    ] = None
    loss: Annotated[
        Literal["auto", "cross_entropy", "bce"],
        doc(
            "`cross_entropy` after softmax · `bce`: binary cross-entropy of every class · `auto`: "
            "`bce` where videos have several classes, else `cross_entropy`",
            "paper",
        ),
    ] = "auto"
    class_weights: ClassWeights = "none"
    sampling: Annotated[
        Literal["uniform", "balanced"],
        doc(
            "`uniform`: every video once an epoch · `balanced`: as many draws, every class equally "
            "often; videos of rare classes are drawn several times, each time cropped anew",
            "paper",
        ),
    ] = "uniform"
    label_smoothing: Annotated[
        Fraction, doc("part of each label that is spread over all classes", "ours")
    ] = 0.0
    method: Annotated[
        Literal["sgd", "linear_probe"],
        doc(
            "`sgd`: the whole network · `linear_probe`: only the classifier, by logistic "
            "regression on features of the pretrained network, with `weight_decay`; of the other "
            "keys `segments`, `precision`, `validation` and those of the loss count",
            "paper",
        ),
    ] = "sgd"

    @property
    def swap(self) -> dict[str, str]:
        """Classes that mirroring exchanges, each pair once."""
        return self.flip["swap"] if isinstance(self.flip, dict) else {}


@dataclass(frozen=True, config=LAZY)
class TestConfig:
    """The test protocol."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    segments: Annotated[Segments, doc("snippets per video", "paper")]
    crops: Annotated[
        Literal[1, 5, 10],
        WHOLE,
        doc("per snippet: 10 (corners and centre, mirrored too), 5 or 1 (centre)", "paper"),
    ]
    crop_size: Annotated[
        Side,
        doc("side of a crop in frame pixels; it is scaled to `model.input_size`", "paper", "px"),
    ]
    snippet_sampling: Annotated[
        Literal["segment_centres", "caffe"],
        doc(
            "where snippets lie: `segment_centres`, or every so many frames from the first "
            "(`caffe`, the authors' release)",
            "P; C",
        ),
    ]
    pooling: Annotated[
        Pooling,
        doc(
            "from the scores of snippets to those of the video: `average`, `max`, `top2`, `top3` "
            "…: the average of each class's 2, 3 … highest, or `window`: multi-scale temporal "
            "window integration (Wang et al. 2019; `protocol: dense`)",
            "paper",
        ),
    ] = "average"
    protocol: Annotated[
        Literal["segments", "dense"],
        doc(
            "which snippets: one of each of `segments` parts (`segments`), or one every `stride` "
            "seconds, however long the video is (`dense`)",
            "paper",
        ),
    ] = "segments"
    stride: Annotated[
        Number, doc("from one snippet to the next of `protocol: dense`", "T", "s", gt=0)
    ] = 1.0
    engine: Annotated[
        Literal["auto", "torch", "onnxruntime"],
        doc(
            "what runs the network: `torch`, `onnxruntime` (faster on a CPU), or `auto`: ONNX "
            "Runtime on a CPU where it takes the network and its scores of the first snippets are "
            "PyTorch's to 1e-5",
            "ours",
        ),
    ] = "auto"


@dataclass(frozen=True, config=LAZY)
class FusionConfig:
    """Late fusion."""

    weights: Annotated[
        Annotated[Weights, Tag("<map>")] | Annotated[Literal["paper", "search"], Tag("<name>")],
        Discriminator(_map_or_name),
        doc(
            "weight of each modality's scores; `paper` is RGB : flow = 1 : 1.5, or RGB : flow : "
            "warped flow = 1 : 1 : 0.5 (RGB difference, where it takes part: 1, ours); `search` "
            "chooses tenths on the training videos that `training.validation` holds out, never on "
            "test videos (`weights.json`)",
            "paper",
        ),
    ]
    compare: Annotated[
        dict[Text, Weights],
        MAP,
        doc(
            "further combinations to report, by a name of your choice: `{two streams: {rgb: 1, "
            "flow: 1.5}}`"
        ),
    ] = Field(default_factory=dict)
    fuse: Annotated[
        Literal["logits", "probabilities"],
        doc("what the weights apply to: `logits`, or `probabilities` (after softmax)", "paper"),
    ] = "logits"
    calibrate: Annotated[
        Literal["temperature"] | None,
        NULLABLE,
        doc(
            "`temperature`: the fusion's probabilities are calibrated by one number, fitted on the "
            "training videos that `training.validation` holds out; `null`: as they are",
            "ours",
        ),
    ] = None
    experiments: Annotated[
        tuple[Name, ...],
        UNIQUE,
        doc(
            "fuse the mean of these experiments' scores in place of the own: `[tsn, tsn.seed2, "
            "k5]`; all must test in the same way",
            "ours",
        ),
    ] = ()
    pooling: Annotated[
        Pooling | None,
        NULLABLE,
        doc(
            "pools the stored scores of snippets otherwise than `test.pooling`, without a new "
            "test; `null`: as tested",
            "ours",
        ),
    ] = None

    @property
    def chosen_weights(self) -> dict[str, float]:
        """The weights by modality, once `paper` or `search` stand for some."""
        assert isinstance(self.weights, dict), self.weights
        return {str(modality): weight for modality, weight in self.weights.items()}


@dataclass(frozen=True, config=LAZY)
class FeaturesConfig:
    """Features for other programs, `features.h5`."""

    stride: Annotated[Count, doc("frames from one snippet to the next", "ours")] = 8
    crops: Annotated[
        Literal[1, 5, 10], WHOLE, doc("per snippet, as in `test`; features are their mean", "ours")
    ] = 1
    layer: Annotated[
        Literal["pool", "scores"],
        doc(
            "`pool`: what the last layer is given; `scores`: what it makes of that, before softmax",
            "ours",
        ),
    ] = "pool"


@dataclass(frozen=True, config=LAZY)
class ReportConfig:
    """The page of an experiment."""

    saliency: Annotated[
        bool,
        doc(
            "below each clip, where the networks look in its most telling snippets (Grad-CAM); "
            "needs `pip install 'tsn[saliency]'`; not for `fusion.experiments`",
            "ours",
        ),
    ] = False


BLOCKS: dict[str, type] = {
    "data": DataConfig,
    "frames": FramesConfig,
    "flow": FlowConfig,
    "model": ModelConfig,
    "training": TrainingConfig,
    "test": TestConfig,
    "fusion": FusionConfig,
    "features": FeaturesConfig,
    "report": ReportConfig,
}
