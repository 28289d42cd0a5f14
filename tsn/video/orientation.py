"""Turn a video's frames upright."""

import struct

import numpy as np
from av.buffer import Buffer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

Turn = tuple[bool, int, int]
"""Swap the axes, then the steps through rows and columns."""

# Degrees clockwise -> how to turn. Players before display matrices went by this tag.
_ROTATE_TAG = {
    "90": (True, 1, -1),
    "180": (False, -1, -1),
    "270": (True, -1, 1),
    "-90": (True, -1, 1),
    "-180": (False, -1, -1),
    "-270": (True, 1, -1),
}


def orientation(frame: VideoFrame, stream: VideoStream) -> Turn:
    """How to turn the frames of a stream upright: by its display matrix, or its `rotate` tag."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, Buffer):
        tags = {key.lower(): value.strip() for key, value in stream.metadata.items()}
        return _ROTATE_TAG.get(tags.get("rotate", ""), (False, 1, 1))
    # ISO/IEC 14496-12, section 6.2.2: x' = a x + c y, y' = b x + d y, in 16.16 fixed point.
    a, b, _, c, d = struct.unpack_from("=5i", memoryview(matrix))
    swap = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if swap else (a, d)
    return swap, -1 if down < 0 else 1, -1 if across < 0 else 1


def upright(image: np.ndarray, turn: Turn) -> np.ndarray:
    """An image (H, W, C), turned: a view of it, (H, W, C) or (W, H, C)."""
    swap, down, across = turn
    turned = image.swapaxes(0, 1) if swap else image
    return turned[::down, ::across]
