"""Frames as JPEG: encoding and safe decoding."""

import numpy as np

from tsn.video import Size

_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a segment that holds the size of the image (ITU-T T.81, table B.1)."""


def encode_jpeg(frame: np.ndarray, quality: int) -> bytes:
    """JPEG bytes of an RGB frame (H, W, 3) uint8, at a quality of 1 to 100.

    Raises:
        ValueError: the frame or the quality is something else.
    """
    import cv2

    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise ValueError(f"a frame must be uint8 (H, W, 3), not {frame.dtype} {frame.shape}")
    if not 1 <= quality <= 100:
        raise ValueError(f"a JPEG's quality must be 1 to 100, not {quality}")
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return data.tobytes()


def decode_jpeg(data: np.ndarray, size: Size) -> np.ndarray:
    """RGB frame (H, W, 3) uint8 of JPEG bytes (uint8 array).

    Args:
        data: the bytes, of whatever origin.
        size: (width, height) that it has to have: a few bytes may claim gigabytes.

    Raises:
        ValueError: if they are no JPEG, or one of another size.
    """
    import cv2

    claimed = _claimed_size(data)
    if claimed != tuple(size):
        what = f"a JPEG of {claimed[0]}x{claimed[1]} pixels" if claimed else "no JPEG"
        raise ValueError(f"{what} where one of {size[0]}x{size[1]} should be")
    frame = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if frame is None or frame.shape[1::-1] != tuple(size):
        raise ValueError("not a JPEG")
    return frame


def _claimed_size(data: np.ndarray) -> Size | None:
    """(width, height) by the header; None if it is not a JPEG's."""
    header, at = bytes(data[: 1 << 16]), 2
    if header[:2] != b"\xff\xd8":
        return None
    while at + 9 <= len(header) and header[at] == 0xFF:
        if header[at + 1] in _SIZES:
            return int.from_bytes(header[at + 7 : at + 9]), int.from_bytes(header[at + 5 : at + 7])
        at += 2 + int.from_bytes(header[at + 2 : at + 4])
    return None
