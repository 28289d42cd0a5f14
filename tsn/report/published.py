"""The comparisons that Temporal Segment Networks were published with, in percent.

Sources: Wang et al., "Temporal Segment Networks", ECCV 2016, sections 4.2 and 4.3, and the
accuracies that the authors give with their Caffe release. The networks are BN-Inception unless a
row says otherwise, tested with 25 snippets x 10 crops; the paper studies UCF101 split 1.

Nothing here imports numpy, torch or pandas: it is read while the Snakefile is parsed.
"""

from dataclasses import dataclass, field

Weights = dict[str, float]
Figures = tuple[float | None, ...]

CLASSES = {"ucf101": 101, "hmdb51": 51}
"""How many classes the published figures of a layout are for."""

SPATIAL: Weights = {"rgb": 1.0}
TEMPORAL: Weights = {"flow": 1.0}
TWO_STREAM: Weights = {"rgb": 1.0, "flow": 1.5}
THREE: Weights = {"rgb": 1.0, "flow": 1.0, "warped_flow": 0.5}
"""Section 4.2: 1 for the spatial stream, 1.5 for the temporal one, of which the warped flow, where
it takes part, has 0.5."""


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Attributes:
        title: its head.
        weights: of the modalities' scores; None where each row has its own.
        split: a number; "first": the first split of the data set, as the paper's studies; "all":
            the mean of all its splits.
    """

    title: str
    weights: Weights | None = None
    split: int | str = "first"


@dataclass(frozen=True)
class Row:
    """A row: its published figures by layout, one per column, None where there is none."""

    name: str
    figures: dict[str, Figures] = field(default_factory=dict)
    weights: Weights | None = None


@dataclass(frozen=True)
class Table:
    """A comparison.

    Attributes:
        title: what is compared.
        origin: head of the published columns.
        setting: what the published figures are of.
        columns, rows: the figures.
        note: where the fusion weights of its rows come from, if that needs saying.
    """

    title: str
    origin: str
    setting: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""


STREAMS = (
    Column("spatial", SPATIAL),
    Column("temporal", TEMPORAL),
    Column("two-stream", TWO_STREAM),
)
STREAMS_OF_ALL_SPLITS = tuple(Column(c.title, c.weights, "all") for c in STREAMS)
UCF101_SPLIT_1 = "BN-Inception, UCF101 split 1"


def _row(name: str, *figures: float | None, weights: Weights | None = None) -> Row:
    return Row(name, {"ucf101": figures}, weights)


PUBLISHED: dict[str, Table] = {
    "training": Table(
        "Training strategies, one segment",
        "paper",
        UCF101_SPLIT_1 + " (the baseline: the networks of Simonyan & Zisserman 2014)",
        STREAMS,
        (
            _row("two-stream baseline", 72.7, 81.0, 87.0),
            _row("from scratch", 48.7, 81.7, 82.9),
            _row("pretrain spatial", 84.1, 81.7, 90.0),
            _row("+ cross-modality", 84.1, 86.6, 91.5),
            _row("+ partial BN, dropout", 84.5, 87.2, 92.0),
        ),
    ),
    "inputs": Table(
        "Inputs, one segment",
        "paper",
        UCF101_SPLIT_1,
        (Column("accuracy"),),
        (
            _row("RGB", 84.5, weights=SPATIAL),
            _row("RGB difference", 83.8, weights={"rgb_diff": 1.0}),
            _row("RGB + RGB difference", 87.3, weights={"rgb": 1.0, "rgb_diff": 1.0}),
            _row("flow", 87.2, weights=TEMPORAL),
            _row("warped flow", 86.9, weights={"warped_flow": 1.0}),
            _row("flow + warped flow", 87.8, weights={"flow": 1.0, "warped_flow": 0.5}),
            _row("RGB + flow + warped flow", 92.3, weights=THREE),
            _row("all four", 91.7, weights={**THREE, "rgb_diff": 1.0}),
        ),
        "The paper gives no weight for RGB difference: 1 is ours.",
    ),
    "backbones": Table(
        "Backbones, one segment unless TSN is named",
        "paper",
        "UCF101 split 1",
        STREAMS,
        (
            _row("Clarifai", 72.7, 81.0, 87.0),
            _row("GoogLeNet", 77.1, 83.9, 89.0),
            _row("VGG-16", 79.8, 85.7, 90.9),
            _row("BN-Inception", 84.5, 87.2, 92.0),
            _row("BN-Inception + TSN", 85.7, 87.9, 93.5),
        ),
    ),
    "consensus": Table(
        "Segmental consensus, three segments",
        "paper",
        UCF101_SPLIT_1,
        STREAMS,
        (
            _row("max", 85.0, 86.0, 91.6),
            _row("average", 85.7, 87.9, 93.5),
            _row("weighted average", 86.2, 87.7, 92.4),
        ),
    ),
    "components": Table(
        "Components, added one by one",
        "paper",
        UCF101_SPLIT_1,
        STREAMS,
        (
            _row("pretrain spatial", None, None, 90.0),
            _row("+ cross-modality", None, None, 91.5),
            _row("+ partial BN, dropout", None, None, 92.0),
            _row("+ TSN (K = 3)", None, None, 93.5),
        ),
    ),
    "segments": Table(
        "Number of segments K",
        "release",
        "BN-Inception, mean of UCF101's three splits",
        STREAMS_OF_ALL_SPLITS,
        (
            _row("K = 1", None, None, None),
            _row("K = 3", None, None, 94.0),
            _row("K = 5", None, None, 94.6),
            _row("K = 7", None, None, 94.9),
            _row("K = 9", None, None, 94.9),
        ),
    ),
    "release": Table(
        "The authors' release, split by split",
        "release",
        "BN-Inception, UCF101",
        (*(Column(f"split {n}", split=n) for n in (1, 2, 3)), Column("mean", split="all")),
        (
            _row("RGB", 85.5, 84.9, 84.5, None, weights=SPATIAL),
            _row("flow", 87.6, 90.2, 91.3, None, weights=TEMPORAL),
            _row("RGB + flow", 93.5, 94.3, 94.5, 94.0, weights=TWO_STREAM),
        ),
    ),
    "state-of-the-art": Table(
        "State of the art in 2016, mean of all splits",
        "paper",
        "mean of three splits",
        (Column("accuracy", split="all"),),
        (
            Row("two-stream", {"hmdb51": (59.4,), "ucf101": (88.0,)}),
            Row("TDD + FV", {"hmdb51": (63.2,), "ucf101": (90.3,)}),
            Row("LTC", {"hmdb51": (64.8,), "ucf101": (91.7,)}),
            Row("KVMF", {"hmdb51": (63.3,), "ucf101": (93.1,)}),
            Row("TSN, two modalities", {"hmdb51": (68.5,), "ucf101": (94.0,)}, TWO_STREAM),
            Row("TSN, three modalities", {"hmdb51": (69.4,), "ucf101": (94.2,)}, THREE),
        ),
    ),
}
"""By the name of the target: results/tables/{name}_{dataset}.md."""

_FIGURES_OF_MODALITIES = ("release", "inputs", "state-of-the-art")
"""Where `published_accuracy` looks, in turn: the authors' release (three segments), the paper's
comparison of inputs (one segment, UCF101 split 1), and the state of the art (means of splits)."""


def published_accuracy(layout: str, split: int | str, modalities: str) -> float | None:
    """The published accuracy of a set of modalities in percent, if there is one.

    Args:
        layout: of the data set, as "ucf101".
        split: its number, or "mean" for that of all three.
        modalities: those that take part, sorted and joined by "+".
    """
    wanted = {1: (1, "first"), "mean": ("all",)}.get(split, (split,))
    for table in map(PUBLISHED.__getitem__, _FIGURES_OF_MODALITIES):
        for row in table.rows:
            if "+".join(sorted(row.weights or ())) != modalities or layout not in row.figures:
                continue
            for column, figure in zip(table.columns, row.figures[layout], strict=True):
                if column.split in wanted and figure is not None:
                    return figure
    return None
