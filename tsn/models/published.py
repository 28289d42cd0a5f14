"""Weights by name: the published files of trained networks, and what is known of them.

Nothing here imports torch: names are checked while the Snakefile is parsed.
"""

from typing import NamedTuple

from tsn.models.modality import FLOW_MODALITIES
from tsn.models.names import check_name, has_imagenet_v2
from tsn.runtime.errors import UserError

_OPENMMLAB = "https://download.openmmlab.com/mmaction/"
_CUHK = "https://yjxiong.blob.core.windows.net/"

NAMES = ("imagenet", "imagenet_v2", "kinetics400", "something_v2", "none")
"""What `model.weights` may be besides a path and an address."""


class File(NamedTuple):
    """A published file.

    Attributes:
        address: of the file, whose name ends in the first digits of its SHA-256.
        licence: of the project that publishes it.
        accuracy: top-1 in % on the validation videos, as published; None for ImageNet files.
    """

    address: str
    licence: str
    accuracy: float | None = None


def _mmaction2(name: str, digits: str, accuracy: float) -> File:
    folder = "v1.0/recognition/tsn" if "8xb32" in name else "recognition/tsn"
    return File(f"{_OPENMMLAB}{folder}/{name}/{name}_{digits}.pth", "Apache-2.0", accuracy)


FILES = {
    ("kinetics400", "resnet50", "rgb"): _mmaction2(
        "tsn_imagenet-pretrained-r50_8xb32-1x1x8-100e_kinetics400-rgb", "20220906-2692d16c", 74.12
    ),
    ("kinetics400", "resnet50", "flow"): _mmaction2(
        "tsn_r50_320p_1x1x8_110e_kinetics400_flow", "20200705-1f39486b", 57.76
    ),
    ("kinetics400", "resnet101", "rgb"): _mmaction2(
        "tsn_imagenet-pretrained-r101_8xb32-1x1x8-100e_kinetics400-rgb", "20220906-23cff032", 75.89
    ),
    ("kinetics400", "bn_inception", "rgb"): File(
        f"{_CUHK}ssn-models/bninception_rgb_kinetics_init-d4ee618d3399.pth", "BSD-3-Clause", 69.1
    ),
    ("kinetics400", "bn_inception", "flow"): File(
        f"{_CUHK}ssn-models/bninception_flow_kinetics_init-1410c1ccb470.pth", "BSD-3-Clause", 62.1
    ),
    ("something_v2", "resnet50", "rgb"): _mmaction2(
        "tsn_imagenet-pretrained-r50_8xb32-1x1x16-50e_sthv2-rgb", "20221122-ee13c8e2", 36.55
    ),
    ("imagenet", "bn_inception", "rgb"): File(
        f"{_CUHK}models/bn_inception-9f5701afb96c8044.pth", "BSD-2-Clause"
    ),
}
"""By name, backbone and modality.

Sources: configs/recognition/tsn of open-mmlab/mmaction2 (metafile.yml of 1.2.0; README.md of 0.24
for flow); data/dataset_cfg.yaml of yjxiong/action-detection, with the accuracies of
yjxiong.me/others/kinetics_action; tf_model_zoo of yjxiong/tsn-pytorch.
"""


def find(weights: str, backbone: str, modality: str) -> str:
    """The address of weights that are published by name; all others as they are.

    Flow has a file of its own or starts, as RGB difference does, from that of RGB by
    cross-modality initialisation.

    Args:
        weights: one of `NAMES`, a path or an address.
        backbone: name of the backbone.
        modality: what the network is trained on.

    Raises:
        UserError: there is no such file for this backbone; names the backbones that have one.
    """
    own = "flow" if modality in FLOW_MODALITIES else modality
    for kind in (own, "rgb"):
        if file := FILES.get((weights, backbone, kind)):
            return file.address
    check_name(backbone)
    if weights == "imagenet_v2" and not has_imagenet_v2(backbone):
        raise UserError(f"there are no weights {weights} of {backbone}; take imagenet")
    if weights == "imagenet" and backbone == "clarifai":
        raise UserError(
            f"{backbone} comes with no weights; give the path or the address of a converted Caffe "
            "file (docs/models.md), or none"
        )
    if weights in NAMES and weights not in ("imagenet", "imagenet_v2", "none"):
        known = dict.fromkeys(backbone for name, backbone, _ in FILES if name == weights)
        raise UserError(
            f"there are no weights {weights} of {backbone}, only of {', '.join(known)}; take one "
            "of these as model.backbone, or other weights"
        )
    return weights
