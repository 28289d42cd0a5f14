"""From frames of 340x256 pixels to network input: crops, flips, snippet channels.

Arrays are uint8 images as they are stored: frames with channels last, (n, H, W, 3), and flow as
planes, (2 n, H, W). Tensors are snippets with channels first. All images of a call are cropped
at the same place (all snippets of a video).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tsn.models.modality import FLOW_MODALITIES
from tsn.video import Size

SNAP = 3
"""A crop side closer than this to the input side becomes the input side (tsn-pytorch)."""

CENTRE_FRACTION = 224 / 256
"""Side of the validation's crop as a fraction of the frame's shorter side (tsn-pytorch)."""


@dataclass(frozen=True)
class Crop:
    """A rectangle in pixels, and whether it is mirrored."""

    x: int
    y: int
    width: int
    height: int
    flip: bool = False


def crop_sizes(frame: Size, target: int, scales: tuple[float, ...]) -> list[Size]:
    """All (width, height) that scale jittering may crop.

    Sides are int(min(frame) * scale), snapped to `target`, the side of the network's input, when
    they are less than 3 px off; the indices of the scales of width and height differ by at most
    one (Wang et al. 2016 section 3.2; tsn-pytorch). `frame` is (width, height).
    """
    base = min(frame)
    sides = [int(base * scale) for scale in scales]
    sides = [target if abs(side - target) < SNAP else side for side in sides]
    return [
        (width, height)
        for i, height in enumerate(sides)
        for j, width in enumerate(sides)
        if abs(i - j) <= 1
    ]


def crop_offsets(frame: Size, size: Size) -> list[tuple[int, int]]:
    """The 13 fixed (x, y) offsets: 4 corners, centre, 4 edge midpoints, 4 quarter points.

    All are multiples of step = (side - crop side) // 4, as in both reference implementations.
    """
    dx, dy = (frame[0] - size[0]) // 4, (frame[1] - size[1]) // 4
    steps = [
        (0, 0),
        (4, 0),
        (0, 4),
        (4, 4),
        (2, 2),
        (0, 2),
        (4, 2),
        (2, 4),
        (2, 0),
        (1, 1),
        (3, 1),
        (1, 3),
        (3, 3),
    ]
    return [(i * dx, j * dy) for i, j in steps]


def random_crop(
    frame: Size,
    target: int,
    scales: tuple[float, ...],
    flip: bool,
    rng: np.random.Generator,
) -> Crop:
    """Corner cropping with scale jittering, and a mirror image half of the time if `flip`."""
    sizes = crop_sizes(frame, target, scales)
    width, height = sizes[rng.integers(len(sizes))]
    offsets = crop_offsets(frame, (width, height))
    x, y = offsets[rng.integers(len(offsets))]
    return Crop(x, y, width, height, bool(flip and rng.integers(2)))


def centre_crop(frame: Size) -> Crop:
    """Centre crop for validation: 224 px of 256 (tsn-pytorch)."""
    side = int(min(frame) * CENTRE_FRACTION)
    return Crop((frame[0] - side) // 2, (frame[1] - side) // 2, side, side)


def test_crops(frame: Size, side: int, count: int) -> list[Crop]:
    """The crops of the test.

    Args:
        frame: (width, height) in pixels.
        side: side of a crop in pixels.
        count: 5 = 4 corners and centre, 10 = these and their mirror images, 1 = centre alone.
    """
    right, bottom = frame[0] - side, frame[1] - side
    corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]
    chosen = corners[-1:] if count == 1 else corners
    crops = [Crop(x, y, side, side) for x, y in chosen]
    if count == 10:
        crops += [Crop(x, y, side, side, flip=True) for x, y in chosen]
    return crops


def cut(images: np.ndarray, crop: Crop, side: int) -> np.ndarray:
    """Cut and resize bilinearly; mirroring is left to `mirror`.

    Args:
        images: uint8 (n, H, W, C), or planes (n, H, W).
        crop: what to cut.
        side: side of the square result in pixels.

    Returns:
        uint8 (n, side, side, C) or (n, side, side).
    """
    part = images[:, crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
    return part if part.shape[1:3] == (side, side) else resize(part, (side, side))


def resize(images: np.ndarray, size: Size) -> np.ndarray:
    """Resize uint8 (n, H, W, C) or (n, H, W) bilinearly to (width, height)."""
    import cv2

    resized = np.empty((len(images), size[1], size[0], *images.shape[3:]), np.uint8)
    for image, target in zip(images, resized, strict=True):
        cv2.resize(image, size, dst=target, interpolation=cv2.INTER_LINEAR)
    return resized


def mirror(snippets: torch.Tensor, flow: bool) -> torch.Tensor:
    """Left-right mirror image; motion to the right becomes motion to the left.

    Args:
        snippets: (…, C, H, W), uint8 or int16.
        flow: channels are x, y, x, y, … of quantised flow, and x becomes 255 - x.
    """
    mirrored = snippets.flip(-1)
    if flow:
        mirrored[..., 0::2, :, :] = 255 - mirrored[..., 0::2, :, :]
    return mirrored


def mirrored_labels(swap: Mapping[str, str], classes: Sequence[str]) -> list[int] | None:
    """The label of a mirrored video, by its label; None if mirroring exchanges no classes.

    Examples:
        >>> mirrored_labels({"left": "right"}, ["jump", "left", "right"])
        [0, 2, 1]
    """
    both = {**swap, **{right: left for left, right in swap.items()}}
    return [classes.index(both.get(name, name)) for name in classes] if swap else None


def cut_crops(snippets: torch.Tensor, crops: list[Crop], flow: bool) -> torch.Tensor:
    """The test's crops of whole snippets, on whatever device these are.

    Args:
        snippets: (M, C, H, W), uint8 or int16.
        crops: all of one size.
        flow: whether they are flow, see `mirror`.

    Returns:
        (crops * M, C, h, w), crop after crop.
    """
    cuts = []
    for crop in crops:
        part = snippets[..., crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        cuts.append(mirror(part, flow) if crop.flip else part)
    return torch.cat(cuts)


def stack_snippets(snippets: Sequence[np.ndarray] | np.ndarray, modality: str) -> np.ndarray:
    """The images of each snippet as its channels.

    Args:
        snippets: of each, L uint8 frames (L, H, W, 3), or 2 L planes of flow (2 L, H, W) in the
            order x, y, x, y, ….
        modality: "rgb", "flow", "warped_flow" or "rgb_diff".

    Returns:
        Contiguous (snippets, C, H, W): uint8 with C = 3 L (rgb) or 2 L (flow); int16 with
        C = 3 (L - 1) for rgb_diff: frame t+1 minus frame t, range -255…255.
    """
    images = np.asarray(snippets)
    if modality in FLOW_MODALITIES:
        return np.ascontiguousarray(images)
    planes = _planes(images.reshape(-1, *images.shape[2:]))
    planes = planes.reshape(*images.shape[:2], *planes.shape[1:])
    if modality == "rgb_diff":
        planes = np.diff(planes.astype(np.int16), axis=1)
    return planes.reshape(len(planes), -1, *planes.shape[3:])


def _planes(frames: np.ndarray) -> np.ndarray:
    """Frames (n, H, W, 3) with channels first; OpenCV is ten times as fast at it as NumPy."""
    import cv2

    planes = np.empty((len(frames), 3, *frames.shape[1:3]), np.uint8)
    for frame, target in zip(frames, planes, strict=True):
        cv2.split(frame, list(target))
    return planes
