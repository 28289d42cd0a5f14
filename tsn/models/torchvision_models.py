"""torchvision's classification models as backbones."""

from collections.abc import Mapping
from functools import partial

import torch
import torchvision

from tsn.models.architecture import Architecture, Headless, remove_classifier
from tsn.models.preprocessing import IMAGENET, UNIT, Preprocessing
from tsn.runtime.errors import UserError

_TENSORFLOW_INCEPTIONS = ("googlenet", "inception_v3")
"""Models whose weights come from TensorFlow; see preprocessing.UNIT."""


def architecture(name: str) -> Architecture:
    """The model `name`, one of `names.torchvision_names()`.

    Its weights are IMAGENET1K_V1 (DEFAULT where there is none) or V2, which take the same input.
    GoogLeNet and Inception v3 are
    built without auxiliary heads, so that the loss is the paper's equation 2 alone, and without
    `transform_input`, which the preprocessing stands for.
    """
    return Architecture(partial(_build, name), partial(_download, name), _preprocessing(name))


def _build(name: str) -> Headless:
    options = {}
    if name in _TENSORFLOW_INCEPTIONS:
        options = {"aux_logits": False, "transform_input": False, "init_weights": True}
    return remove_classifier(torchvision.models.get_model(name, weights=None, **options))


def _weights(name: str, given: str = "imagenet") -> torchvision.models.WeightsEnum:
    members = torchvision.models.get_model_weights(name)
    if given == "imagenet_v2":
        return members["IMAGENET1K_V2"]
    return members.__members__.get("IMAGENET1K_V1", members.DEFAULT)


def _preprocessing(name: str) -> Preprocessing:
    if name in _TENSORFLOW_INCEPTIONS:
        return UNIT
    transforms = _weights(name).transforms()
    return Preprocessing("RGB", IMAGENET.scale, tuple(transforms.mean), tuple(transforms.std))


def _download(name: str, given: str) -> Mapping[str, torch.Tensor]:
    weights = _weights(name, given)
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    # urllib's errors are OSErrors; a wrong hash and a broken file are RuntimeErrors.
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {weights.url} ({error}): "
            "get the file by other means and give its path as weights"
        ) from error
