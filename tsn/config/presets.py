"""The published schedules, as training blocks that the key `training.preset` stands for.

Nothing here imports numpy or torch: it is read while the Snakefile is parsed.

Sources: Wang et al. 2016, section 4.2 (paper; "batch size is set to 256"); the solver files of
yjxiong/temporal-segment-networks (caffe); the README of yjxiong/tsn-pytorch (tsn_pytorch). Where a
source has no schedule for a modality, that of its nearest relative is taken: warped flow is trained
as flow in all three, RGB difference as RGB in the first two.
"""

from tsn.models.modality import FLOW_MODALITIES

_DROPOUT = {"rgb": 0.8, "flow": 0.7, "rgb_diff": 0.8}
"""Before the last layer, in all three."""

_CROP_SCALES = {
    "rgb": [1, 0.875, 0.75, 0.66],
    "flow": [1, 0.875, 0.75],
    "rgb_diff": [1, 0.875, 0.75],
}
"""In all three; the paper names 256, 224, 192 and 168 of 256 px for all modalities."""


def _block(length: str, batch_size: int, **schedules: tuple) -> dict:
    """A training block from modality = (lr, milestones, length, largest gradient norm).

    `length` is the key of the third, "epochs" or "iterations".
    """
    per_modality = {}
    for modality in ("rgb", "rgb_diff", *FLOW_MODALITIES):
        kind = "flow" if modality in FLOW_MODALITIES else modality
        lr, milestones, count, clip = schedules.get(kind, schedules["rgb"])
        per_modality[modality] = {
            "lr": lr,
            "lr_milestones": milestones,
            length: count,
            "clip_gradient": clip,
            "dropout": _DROPOUT[kind],
            "crop_scales": _CROP_SCALES[kind],
        }
    return {"batch_size": batch_size, "per_modality": per_modality}


_CAFFE_UCF101 = _block(
    "iterations",
    128,
    rgb=(0.001, [1500, 3000], 3500, 40),
    flow=(0.005, [10000, 16000], 18000, 20),
)
_CAFFE_HMDB51 = _block(
    "iterations",
    128,
    rgb=(0.001, [1000, 2000], 2500, 40),
    flow=(0.005, [4000, 6000], 7000, 20),
)
_PAPER = _block(
    "iterations",
    256,
    rgb=(0.001, [2000, 4000], 4500, None),
    flow=(0.005, [12000, 18000], 20000, None),
)
_TSN_PYTORCH = _block(
    "epochs",
    128,
    rgb=(0.001, [30, 60], 80, 20),
    flow=(0.001, [190, 300], 340, 20),
    rgb_diff=(0.001, [80, 160], 180, 40),  # published with K = 7
)

_FLOW_OF_DEMO = {"epochs": 30, "lr_milestones": [24]}
_DEMO = {
    "batch_size": 8,
    "lr": 0.001,
    "epochs": 15,
    "lr_milestones": [12],
    "per_modality": dict.fromkeys(FLOW_MODALITIES, _FLOW_OF_DEMO),
}
"""Of the rendered set: small, so that it trains in minutes; the rest is that of the layer below."""

PRESETS = ("caffe", "paper", "tsn_pytorch", "demo")


def preset(name: str, layout: str) -> dict:
    """The training block of a preset.

    Args:
        name: one of PRESETS.
        layout: of the data set. The Caffe release has a schedule of its own for HMDB51; any other
            layout gets UCF101's.
    """
    if name == "caffe":
        return _CAFFE_HMDB51 if layout == "hmdb51" else _CAFFE_UCF101
    return {"paper": _PAPER, "tsn_pytorch": _TSN_PYTORCH, "demo": _DEMO}[name]
