"""Frames as JPEGs, and what only says that it is one."""

import cv2
import numpy as np
import pytest

from tsn.shards.jpeg import decode_jpeg, encode_jpeg


def data_of(frame: np.ndarray, quality: int = 95) -> np.ndarray:
    return np.frombuffer(encode_jpeg(frame, quality), np.uint8)


def smooth(width: int, height: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, x + y], axis=-1).astype(np.uint8)


def test_a_frame_comes_back_nearly_as_it_was():
    frame = smooth(40, 30)
    decoded = decode_jpeg(data_of(frame), (40, 30))
    assert decoded.shape == (30, 40, 3) and np.abs(decoded - frame.astype(int)).max() < 12


def test_jpegs_hold_rgb():
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    bgr = cv2.imdecode(data_of(red), cv2.IMREAD_COLOR)
    assert bgr[8, 8, 2] > 250 and bgr[8, 8, 0] < 5


@pytest.mark.parametrize("flag", [[], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]])
def test_a_image_of_another_size_is_refused_before_it_is_decoded(monkeypatch, flag):
    _, data = cv2.imencode(".jpg", np.zeros((4000, 5000, 3), np.uint8), flag)
    monkeypatch.setattr(cv2, "imdecode", None)  # not to be called
    with pytest.raises(ValueError, match="a JPEG of 5000x4000 pixels where one of 40x30 should be"):
        decode_jpeg(data, (40, 30))


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"\xff\xd8\xff\xe0\x00\x00", b"GIF89a" * 9])
def test_what_is_no_jpeg_is_refused(data):
    with pytest.raises(ValueError, match="no JPEG where one of 40x30"):
        decode_jpeg(np.frombuffer(data, np.uint8), (40, 30))
    _, png = cv2.imencode(".png", smooth(40, 30))
    with pytest.raises(ValueError, match="no JPEG"):
        decode_jpeg(png, (40, 30))


def test_every_prefix_of_a_jpeg_is_decoded_or_refused():
    data = data_of(smooth(40, 30))
    for length in range(len(data)):
        try:
            assert decode_jpeg(data[:length], (40, 30)).shape == (30, 40, 3)
        except ValueError as error:
            assert "JPEG" in str(error)


@pytest.mark.parametrize(
    ("frame", "quality"),
    [
        (np.zeros((4, 6, 3), np.float32), 95),
        (np.zeros((4, 6), np.uint8), 95),
        (np.zeros((0, 6, 3), np.uint8), 95),
        (np.zeros((4, 6, 3), np.uint8), 0),
        (np.zeros((4, 6, 3), np.uint8), 101),
    ],
)
def test_only_frames_and_qualities_are_taken(frame, quality):
    with pytest.raises(ValueError, match="must be"):
        encode_jpeg(frame, quality)
