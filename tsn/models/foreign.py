"""Weights of any origin in the names of our backbones: plain, ours, tsn-pytorch's, mmaction2's.

What a file is follows from its keys; what it expects of its input goes with it:

==============  ===========================================  ====================================
origin          keys                                         input
==============  ===========================================  ====================================
plain           the backbone's own                           the backbone's ImageNet input
a model.pt      network.net.…, network.classifier.…          network.normalise.…
tsn-pytorch     base_model.…, new_fc.…                       of its models.py, by the base model
mmaction2       backbone.…, cls_head.fc_cls.…                data_preprocessor of meta.cfg
==============  ===========================================  ====================================
"""

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tsn.models.download import download, is_address
from tsn.models.preprocessing import CAFFE, IMAGENET, Preprocessing, preprocessing_from
from tsn.models.pretrained import read_checkpoint, state_dict_of
from tsn.runtime.errors import UserError

State = Mapping[str, torch.Tensor]

TSN_PYTORCH_RESNET = replace(IMAGENET, flow_mean=127.5, difference_std=(1.0, 1.0, 1.0))
"""tsn-pytorch's ResNets: flow has the mean .5 of 0..1, differences are not divided by any std."""

MMACTION = Preprocessing("RGB", 1.0, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""mmaction2's data_preprocessor in its TSN configurations for RGB."""

MMACTION_FLOW = replace(MMACTION, flow_std=128.0)
"""The same for flow: mean 128, std 128."""

FOREIGN = ("tsn-pytorch", "mmaction2")

FLOW_VARIANT = "opencv_cuda"
"""Whose TV-L1 they are trained on: both extract flow with dense_flow, which calls cv2.cuda."""

_RESNETS = {
    ((2, 2, 2, 2), False): "resnet18",
    ((3, 4, 6, 3), False): "resnet34",
    ((3, 4, 6, 3), True): "resnet50",
    ((3, 4, 23, 3), True): "resnet101",
    ((3, 8, 36, 3), True): "resnet152",
}
"""Blocks of the four stages, and whether they are bottlenecks (He et al. 2016, table 1)."""

_CONV_MODULE = re.compile(r"(?:(conv)(\d)|(downsample))\.(conv|bn)\.")
"""mmcv's ConvModule: a convolution and its batch normalisation under one name."""


@dataclass(frozen=True, eq=False)
class Weights:
    """What a weights file holds.

    Attributes:
        origin: "plain", "tsn", "tsn-pytorch" or "mmaction2".
        state: the backbone's tensors by our names; may hold an ImageNet classifier.
        classifier: weight (classes, features) and bias (classes,) of a trained TSN; None in
            plain files.
        preprocessing: the input that they expect; None: that of the backbone's ImageNet weights.
    """

    origin: str
    state: State
    classifier: tuple[torch.Tensor, torch.Tensor] | None = None
    preprocessing: Preprocessing | None = None


def read_weights(source: str | Path, sha256: str | None = None) -> Weights:
    """Read a file of weights, whatever made it.

    Args:
        source: a path, or an http(s) address, which is downloaded once and kept (`download`).
        sha256: expected SHA-256 in hex, or its first digits. An address needs it, unless the
            file's name ends in them, as in bn_inception-9f5701afb96c8044.pth.

    Raises:
        UserError: no such file, no connection, another checksum, or no weights in it.
    """
    if is_address(source):
        source, sha256 = download(str(source), sha256), None
    content = read_checkpoint(source, sha256)
    if "info" in content and isinstance(content.get("network"), Mapping):
        return _ours(content, source)
    state = state_dict_of(content, source)
    if any(key.startswith("base_model.") for key in state):
        return _tsn_pytorch(state)
    if any(key.startswith("cls_head.") for key in state):
        return _mmaction2(state, content.get("meta"), source)
    return Weights("plain", state)


def guess_backbone(state: State) -> str | None:
    """The backbone that these tensors belong to: BN-Inception or a ResNet, or None."""
    if "conv1_7x7_s2.weight" in state:
        return "bn_inception"

    def blocks(stage: int) -> int:
        return sum(f"layer{stage}.{block}.conv1.weight" in state for block in range(36))

    depths = blocks(1), blocks(2), blocks(3), blocks(4)
    return _RESNETS.get((depths, "layer1.0.conv3.weight" in state))


def _ours(content: Mapping, source: str | Path) -> Weights:
    network = content["network"]
    try:
        preprocessing = preprocessing_from(
            _part(network, "normalise."), content["info"]["modality"]
        )
    except (AttributeError, LookupError, TypeError, ValueError):
        raise UserError(
            f"{source}: is like a model of this pipeline, but without what it holds of its input; "
            "get it again"
        ) from None
    return Weights("tsn", _part(network, "net."), _layer(network, "classifier"), preprocessing)


def _tsn_pytorch(state: State) -> Weights:
    base = _part(state, "base_model.")
    # Without dropout tsn-pytorch leaves the classifier in its place in the base model.
    classifier = _layer(state, "new_fc") or _layer(base, "fc")
    is_caffe = "conv1_7x7_s2.weight" in base
    return Weights("tsn-pytorch", base, classifier, CAFFE if is_caffe else TSN_PYTORCH_RESNET)


def _mmaction2(state: State, meta: object, source: str | Path) -> Weights:
    backbone = _part(state, "backbone.")
    config = str(meta.get("cfg") or "") if isinstance(meta, Mapping) else ""
    first = next((value for value in backbone.values() if value.ndim == 4), None)
    channels = 3 if first is None else first.shape[1]
    try:
        preprocessing = _mmaction2_input(config, channels)
    except (SyntaxError, ValueError, TypeError, ZeroDivisionError):
        raise UserError(
            f"{source}: the data_preprocessor of its configuration is not one of RGB or flow "
            "with one mean and one std; this model cannot be imported"
        ) from None
    if re.search(r"style\s*[=:]\s*['\"]caffe", config):
        raise UserError(
            f"{source}: a ResNet of style 'caffe' has its strides elsewhere than torchvision's; "
            "this model cannot be imported"
        )
    renamed = {_CONV_MODULE.sub(_torchvision_name, key): value for key, value in backbone.items()}
    return Weights("mmaction2", renamed, _layer(state, "cls_head.fc_cls"), preprocessing)


def _torchvision_name(match: re.Match) -> str:
    _, number, downsample, kind = match.groups()
    if downsample:
        return f"downsample.{0 if kind == 'conv' else 1}."
    return f"{kind}{number}."


def _mmaction2_input(config: str, channels: int) -> Preprocessing:
    """The normalisation in a configuration, which is Python text and is read, not run.

    Raises:
        ValueError, SyntaxError, TypeError: the text is no configuration, or says other than known.
    """
    found = None
    for node in ast.walk(ast.parse(config)):
        if not (isinstance(node, ast.keyword) and node.arg == "data_preprocessor"):
            continue
        if isinstance(node.value, ast.Call):
            found = {entry.arg: entry.value for entry in node.value.keywords}
    if found is None or "mean" not in found:
        return MMACTION if channels == 3 else MMACTION_FLOW
    mean, std = (_numbers(found[key]) for key in ("mean", "std"))
    swapped = "to_rgb" in found and ast.literal_eval(found["to_rgb"])
    if channels == 3:
        return Preprocessing("BGR" if swapped else "RGB", 1.0, _triple(mean), _triple(std))
    if len({*mean}) != 1 or len({*std}) != 1:
        raise ValueError("channels of flow that are normalised differently")
    return replace(MMACTION_FLOW, flow_mean=mean[0], flow_std=std[0])


def _numbers(node: ast.expr) -> tuple[float, ...]:
    return tuple(float(value) for value in ast.literal_eval(node))


def _triple(values: Iterable[float]) -> tuple[float, float, float]:
    first, second, third = values
    return first, second, third


def _part(state: State, prefix: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(prefix): v for key, v in state.items() if key.startswith(prefix)}


def _layer(state: State, name: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    weight, bias = state.get(f"{name}.weight"), state.get(f"{name}.bias")
    return None if weight is None or bias is None else (weight, bias)
