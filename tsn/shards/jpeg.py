"""Frames as JPEG: encoding and safe decoding."""

import numpy as np

from tsn.video import Size


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


def encode_grey_jpeg(plane: np.ndarray) -> bytes:
    """JPEG bytes of a plane of flow (H, W) uint8, at OpenCV's default quality as dense_flow's."""
    import cv2

    return cv2.imencode(".jpg", plane)[1].tobytes()


def decode_jpeg(data: np.ndarray, size: Size) -> np.ndarray:
    """RGB frame (H, W, 3) uint8 of JPEG bytes (uint8 array).

    Args:
        data: the bytes, of whatever origin.
        size: (width, height) that it has to have: a few bytes may claim gigabytes.

    Raises:
        ValueError: if they are no JPEG, or one of another size.
    """
    from tsn.video.images import claimed_size, decode_image, is_jpeg

    jpeg = data.tobytes()
    claimed = claimed_size(jpeg) if is_jpeg(jpeg) else None
    if claimed != tuple(size):
        what = f"a JPEG of {claimed[0]}x{claimed[1]} pixels" if claimed else "no JPEG"
        raise ValueError(f"{what} where one of {size[0]}x{size[1]} should be")
    frame = decode_image(data)
    if frame is None or frame.shape[1::-1] != tuple(size):
        raise ValueError("not a JPEG")
    return frame
