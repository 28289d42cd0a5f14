"""Small imitations of what tsn-pytorch and mmaction2 write, by the names of their layers."""

import re

import torch

CONFIG = """
model = dict(
    backbone=dict(depth=18, type='ResNet'),
    data_preprocessor=dict(mean={mean}, std={std}{more}, type='ActionDataPreprocessor'),
    type='Recognizer2D')
"""


def random_state(net: torch.nn.Module) -> dict:
    torch.manual_seed(0)
    return {
        key: torch.rand_like(value) if value.is_floating_point() else value
        for key, value in net.state_dict().items()
    }


def mmaction2_names(state: dict) -> dict:
    """torchvision's ResNet in mmcv's names, as read from a checkpoint of mmaction2 1.2.0."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"\bconv(\d)\.", r"conv\1.conv.", key)
        key = re.sub(r"\bbn(\d)\.", r"conv\1.bn.", key)
        key = key.replace("downsample.0.", "downsample.conv.")
        key = key.replace("downsample.1.", "downsample.bn.")
        if not key.startswith("fc."):
            renamed[f"backbone.{key}"] = value
    return renamed


def with_channels(state: dict, key: str, channels: int) -> dict:
    return {**state, key: torch.rand(64, channels, 7, 7)}


def mmaction2(resnet, channels=3, **meta) -> dict:
    state = mmaction2_names(with_channels(resnet, "conv1.weight", channels))
    state.update(
        {"cls_head.fc_cls.weight": torch.rand(4, 512), "cls_head.fc_cls.bias": torch.rand(4)}
    )
    return {"meta": {"epoch": 1, **meta}, "state_dict": state}


def tsn_pytorch(state: dict, features: int, prefix="module.") -> dict:
    renamed = {f"{prefix}base_model.{key}": value for key, value in state.items()}
    renamed[f"{prefix}new_fc.weight"] = torch.rand(4, features)
    renamed[f"{prefix}new_fc.bias"] = torch.rand(4)
    return {"epoch": 3, "arch": "any", "best_prec1": torch.tensor(9.0), "state_dict": renamed}
