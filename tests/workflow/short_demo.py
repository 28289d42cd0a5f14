"""The demo set made so small that all stages run in a minute or two."""

import copy

MODALITIES = ("rgb", "flow", "warped_flow")
_CONFIG = {
    "datasets": {
        "demo": {
            "train_per_class": 1,
            "test_per_class": 1,
            "shards": 2,
            "override": {
                "frames": {"size": [64, 48]},
                "model": {"backbone": "bn_inception", "weights": "none", "input_size": 32},
                "training": {
                    "segments": 2,
                    "batch_size": 9,
                    "micro_batch": 5,
                    "per_modality": {
                        modality: {"epochs": 1, "lr_milestones": []} for modality in MODALITIES
                    },
                },
                "test": {"segments": 3, "crops": 5, "crop_size": 32},
            },
        }
    }
}


def short_demo() -> dict:
    """A configuration file's content: 9 + 9 videos, two shards, one epoch."""
    return copy.deepcopy(_CONFIG)
