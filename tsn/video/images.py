"""Images in files: their size before they are decoded, and safe decoding."""

import cv2
import numpy as np

from tsn.video import Size

_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a segment that holds the size of a JPEG (ITU-T T.81, table B.1)."""


def is_jpeg(data: bytes) -> bool:
    """Whether an image is a JPEG."""
    return data[:2] == b"\xff\xd8"


def is_cut_short(jpeg: bytes) -> bool:
    """Whether a JPEG ends before its end marker; cameras write data of their own after it."""
    return jpeg.rfind(b"\xff\xd9") < jpeg.rfind(b"\xff\xda")  # end of image, start of a scan


def claimed_size(data: bytes) -> Size | None:
    """(width, height) by the header of a JPEG or PNG; None if it is neither."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    at = 2
    while is_jpeg(data) and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _SIZES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def decode_image(data: bytes | np.ndarray, grey: bool = False) -> np.ndarray | None:
    """An image as uint8 (H, W, 3) RGB or (H, W) grey, as it is stored; None if it is damaged."""
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR_RGB
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)


def resize(image: np.ndarray, size: Size) -> np.ndarray:
    """Resize bilinearly to (width, height); a copy where it has that size."""
    return cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
