"""Backbones by name: a network without its classifier, and the input that its weights expect."""

from dataclasses import dataclass

from torch import nn

from tsn.models import own_models, timm_models
from tsn.models.adapt import adapt_first_conv, first_conv_name
from tsn.models.architecture import Architecture
from tsn.models.foreign import read_weights
from tsn.models.names import check_name
from tsn.models.preprocessing import Preprocessing
from tsn.models.pretrained import load_backbone
from tsn.models.published import NAMES, find
from tsn.runtime.errors import UserError


@dataclass(frozen=True, eq=False)
class Backbone:
    """A network that maps images to features.

    Attributes:
        name: as given to `build_backbone`.
        net: normalised images, float (N, channels, h, w), to features, float (N, features).
        features: number of features.
        channels: 3, but for weights of a TSN that was trained on flow or RGB differences.
        preprocessing: the input that `net` expects.
    """

    name: str
    net: nn.Module
    features: int
    channels: int
    preprocessing: Preprocessing


def find_architecture(name: str) -> Architecture:
    """The architecture `name`.

    Raises:
        UserError: there is none; suggests some. Or it is one of timm's, which is not installed.
    """
    check_name(name)
    if name.startswith(timm_models.PREFIX):
        return timm_models.architecture(name)
    if name in own_models.ARCHITECTURES:
        return own_models.ARCHITECTURES[name]
    from tsn.models import torchvision_models  # takes seconds, which own networks save

    return torchvision_models.architecture(name)


def build_backbone(
    name: str, weights: str, sha256: str | None = None, modality: str = "rgb"
) -> Backbone:
    """Build a backbone without its classifier.

    Args:
        name: bn_inception, clarifai, efficientnet_lite0, a classification model of torchvision,
            or "timm:" and a model of timm.
        weights: "none" (random, from torch's global generator), "imagenet" (the installed package
            of efficientnet_lite0; a download for the others), "imagenet_v2" (torchvision's second
            recipe), a data set of `published.NAMES`, or the path or address of a file that
            `read_weights` understands, whose classifier may have any shape.
        sha256: of the file; see `read_weights`.
        modality: what the network is for: some weights by name are of one modality.

    Raises:
        UserError: unknown name, a model without classifier, weights that cannot be had, have
            another checksum or do not fit.
    """
    architecture = find_architecture(name)
    if sha256 is not None and weights in NAMES:
        raise UserError(f'sha256 is given for weights "{weights}": it only checks a file')
    weights = find(weights, name, modality)
    net, classifiers, features = architecture.build()
    channels, preprocessing = 3, architecture.preprocessing
    if weights in ("imagenet", "imagenet_v2"):
        state = architecture.imagenet(weights)
        load_backbone(net, state, classifiers, f"the ImageNet file of {name}")
    elif weights != "none":
        given = read_weights(weights, sha256)
        first = given.state.get(f"{first_conv_name(net)}.weight")
        if first is not None and first.ndim == 4 and first.shape[1] != channels:
            channels = first.shape[1]
            adapt_first_conv(net, channels, cross_modality=True)
        load_backbone(net, given.state, classifiers, str(weights))
        preprocessing = given.preprocessing or preprocessing
    return Backbone(name, net, features, channels, preprocessing)
