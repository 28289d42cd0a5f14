"""Published accuracies of TSN with BN-Inception, in percent.

Sources: the authors' Caffe release (UCF101 per split), Wang et al. 2016 (its comparison of inputs
for warped flow, RGB difference and three modalities on UCF101 split 1; its comparison with the
state of the art for means of three splits).
"""

TWO = "flow+rgb"
THREE = "flow+rgb+warped_flow"

CLASSES = {"ucf101": 101, "hmdb51": 51}
"""How many classes the figures are for."""

PUBLISHED = {
    "ucf101": {
        1: {
            "rgb": 85.5,
            "flow": 87.6,
            "warped_flow": 86.9,
            "rgb_diff": 83.8,
            TWO: 93.5,
            THREE: 92.3,
        },
        2: {"rgb": 84.9, "flow": 90.2, TWO: 94.3},
        3: {"rgb": 84.5, "flow": 91.3, TWO: 94.5},
        "mean": {TWO: 94.0, THREE: 94.2},
    },
    "hmdb51": {"mean": {TWO: 68.5, THREE: 69.4}},
}


def published(layout: str, split: int | str, scores: str | None) -> float | None:
    """The published figure for a modality or a sorted, "+"-joined set of them, if there is one."""
    return PUBLISHED.get(layout, {}).get(split, {}).get(scores)
