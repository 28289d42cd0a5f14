"""Colours of every matrix that a file may name."""

import av
import numpy as np
import pytest

from tsn.video.decode import read_frames

YCGCO = 8  # ITU-T H.273, table 4


def write(path, planes, colorspace, colour_range=1):
    """Write YUV 4:4:4 frames, uint8 (T, 3, H, W), losslessly."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.height, stream.width = planes.shape[2:]
        stream.pix_fmt = "yuv444p"
        stream.codec_context.colorspace = colorspace
        stream.codec_context.color_range = colour_range
        for number, frame in enumerate(planes):
            frame = av.VideoFrame.from_ndarray(frame, format="yuv444p")
            frame.pts, frame.colorspace, frame.color_range = number, colorspace, colour_range
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize("full", [False, True])
def test_ycgco_is_converted(tmp_path, images, full):
    red, green, blue = np.moveaxis(images.astype(float), -1, 0)
    # ITU-T H.273, equations 48 to 50, in the levels of equations 27 to 29 and 30 to 32.
    luma, cg, co = (red + blue) / 4 + green / 2, green / 2 - (red + blue) / 4, (red - blue) / 2
    if full:
        planes = np.stack([luma, cg + 128, co + 128], axis=1)
    else:
        planes = np.stack(
            [luma * 219 / 255 + 16, cg * 224 / 255 + 128, co * 224 / 255 + 128], axis=1
        )
    path = write(tmp_path / "a.mkv", planes.round().clip(0, 255).astype(np.uint8), YCGCO, 1 + full)
    frames = np.array(list(read_frames(path, size=None)), int)
    assert abs(frames - images).max() <= 3


@pytest.mark.parametrize("colorspace", range(1, 15))
def test_a_grey_video_is_grey_whatever_its_matrix(tmp_path, colorspace):
    planes = np.full((2, 3, 48, 64), 128, np.uint8)
    frames = np.array(list(read_frames(write(tmp_path / "a.mkv", planes, colorspace), None)))
    assert frames.shape == (2, 48, 64, 3)
    np.testing.assert_allclose(frames, (128 - 16) * 255 / 219, atol=1)
