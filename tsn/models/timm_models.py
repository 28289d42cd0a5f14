"""Models of timm as backbones, by the name `timm:<model>`; timm is an optional extra."""

from collections.abc import Mapping
from functools import partial

import torch

from tsn.models.architecture import Architecture, Headless
from tsn.models.preprocessing import IMAGENET, Preprocessing
from tsn.runtime.errors import UserError

PREFIX = "timm:"


def architecture(name: str) -> Architecture:
    """The model `name`, with its prefix, such as "timm:resnet50.a1_in1k".

    timm removes the classifier itself. What follows the point chooses one of several sets of
    weights, which come from the Hugging Face hub and are kept where it keeps them.

    Raises:
        UserError: timm does not know the model.
    """
    import timm

    model = name.removeprefix(PREFIX)
    # timm takes resnet50.no_such_tag for resnet50 until the weights are asked for.
    if not timm.is_model(model):
        close = timm.list_models(f"*{model.partition('.')[0]}*")[:3]
        hint = f": did you mean {', '.join(close)}?" if close else ""
        raise UserError(f"timm {timm.__version__} has no model {model!r}{hint}")
    pretrained = timm.get_pretrained_cfg(model, allow_unregistered=True)
    assert pretrained is not None
    config = pretrained.to_dict()
    expected = Preprocessing("RGB", IMAGENET.scale, tuple(config["mean"]), tuple(config["std"]))
    return Architecture(
        partial(_build, model, config["classifier"]), partial(_download, model), expected
    )


def _build(model: str, classifier: str | tuple[str, ...]) -> Headless:
    import timm

    net = timm.create_model(model, pretrained=False, num_classes=0)
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    features = getattr(net, "head_hidden_size", None) or net.num_features
    assert isinstance(features, int)
    return Headless(net, names, features)


def _download(model: str, _: str) -> Mapping[str, torch.Tensor]:
    import timm

    try:
        return timm.create_model(model, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # the hub's client has errors of its own for a missing network
        raise UserError(
            f"cannot download the weights of timm:{model} ({type(error).__name__}: {error}): "
            "get the file by other means and give its path as weights"
        ) from error
