"""Convert decoded frames to RGB."""

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

# FFmpeg's own tests use accurate_rnd and bitexact to get the same pixels on every processor;
# chroma is interpolated (the default repeats it): 0.2 ms more for a frame of 320x240.
_FLAGS = int(
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
    | Interpolation.FULL_CHR_H_INT
)

# Matrix coefficients of ITU-T H.273, table 4. FFmpeg's scaler knows 1 to 7 and 9.
_UNSPECIFIED, _YCGCO, _BT2020 = 2, 8, 9

# Matrices that it refuses, and the nearest that it knows: BT.2020 with constant luminance,
# SMPTE 2085, matrices derived from primaries, ICtCp.
_NEAREST = {10: _BT2020, 11: _BT2020, 12: _UNSPECIFIED, 13: _UNSPECIFIED, 14: _BT2020}

_FULL_RANGE = 2  # AVCOL_RANGE_JPEG


class RGBConverter:
    """Converts the frames of one video to 8-bit RGB."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        """uint8 (height, width, 3); alpha is dropped."""
        if frame.colorspace == _YCGCO and not frame.format.is_rgb:
            return self._from_ycgco(frame)
        if frame.colorspace in _NEAREST:
            frame.colorspace = _NEAREST[frame.colorspace]
        return self._reformat(frame, "rgb24").to_ndarray()

    def _from_ycgco(self, frame: VideoFrame) -> np.ndarray:
        full = frame.color_range == _FULL_RANGE
        frame.colorspace = _UNSPECIFIED  # the planes keep their values
        planes = self._reformat(frame, "yuv444p").to_ndarray().astype(np.float32)
        luma, green, orange = planes[0], planes[1] - 128, planes[2] - 128
        if not full:  # 8-bit levels of ITU-R BT.601, section 2.5.3
            luma, green, orange = (luma - 16) * 255 / 219, green * 255 / 224, orange * 255 / 224
        rgb = np.stack([luma - green + orange, luma + green, luma - green - orange], axis=-1)
        return rgb.round().clip(0, 255).astype(np.uint8)

    def _reformat(self, frame: VideoFrame, pixel_format: str) -> VideoFrame:
        return self._reformatter.reformat(
            frame, format=pixel_format, interpolation=_FLAGS, threads=1
        )
