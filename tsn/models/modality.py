"""The four input modalities and the number of channels that a snippet of each one has."""

from tsn.runtime.errors import UserError

MODALITIES = ("rgb", "flow", "warped_flow", "rgb_diff")
"""Wang et al. 2016, section 3.2: RGB, optical flow, warped flow, stacked RGB differences."""

NAMES = {
    "rgb": "RGB",
    "flow": "optical flow",
    "warped_flow": "warped flow",
    "rgb_diff": "RGB difference",
}
"""Names of the modalities in tables and figures."""

FUSED = "fused"
"""Listed beside the modalities wherever the fusion of their scores is shown."""

FLOW_MODALITIES = ("flow", "warped_flow")

STREAM_OF = {"rgb": "rgb", "flow": "flow", "warped_flow": "warped_flow", "rgb_diff": "rgb"}
"""The shards that each modality reads: RGB difference is computed from RGB frames."""

SNIPPET_LENGTH = 5
"""Flow fields, or RGB differences, in a snippet (Simonyan & Zisserman 2014; tsn-pytorch)."""

MAX_FLOW_STEP = SNIPPET_LENGTH
"""Most frames between the two of a flow field: a dense test, whose snippets begin no later than
`SNIPPET_LENGTH` frames before the last one, finds a field at each start."""


def check_modality(modality: str) -> str:
    """Return `modality`; raise UserError if it is none of MODALITIES."""
    if modality not in MODALITIES:
        raise UserError(f"unknown modality {modality!r}: use one of {', '.join(MODALITIES)}")
    return modality


def snippet_frames(modality: str, length: int = SNIPPET_LENGTH) -> int:
    """Frames or flow fields read per snippet: six frames give five differences; rgb: one."""
    check_modality(modality)
    if modality == "rgb":
        return 1
    return length if modality in FLOW_MODALITIES else length + 1


def channels_of(modality: str, length: int = SNIPPET_LENGTH) -> int:
    """Channels of one snippet.

    rgb: 3; flow and warped_flow: 2 L (x, y, x, y, ...); rgb_diff: 3 L (R, G, B, R, ...), with
    L = length.

    Raises:
        UserError: unknown modality.
    """
    check_modality(modality)
    if modality == "rgb":
        return 3
    return length * (2 if modality in FLOW_MODALITIES else 3)
