"""Small real videos, encoded on the spot."""

from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest

WriteVideo = Callable[..., Path]


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """A function that encodes pictures into a file under `tmp_path` and returns its path.

    Arguments: the name, whose ending chooses the container; uint8 (height, width, 3) RGB
    pictures; codec ("ffv1" and "png" are lossless); pixel format; container options; time stamps
    in 1/25 s; metadata of the picture stream.
    """

    def write(
        name: str,
        pictures: Iterable[np.ndarray],
        codec: str = "ffv1",
        pix_fmt: str | None = None,
        options: dict[str, str] | None = None,
        pts: Iterable[int] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Path:
        pictures = list(pictures)
        path = tmp_path / name
        with av.open(str(path), "w", options=options) as out:
            stream = out.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = pix_fmt or {"ffv1": "bgr0", "png": "rgb24"}.get(codec, "yuv420p")
            stream.metadata.update(tags or {})
            for stamp, picture in zip(pts or range(len(pictures)), pictures, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts = stamp
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path

    return write


@pytest.fixture
def pictures() -> np.ndarray:
    """Twelve smooth, unlike pictures: uint8 (12, 48, 64, 3) RGB."""
    y, x = np.mgrid[:48, :64]
    return np.array(
        [np.stack([4 * x, 5 * y, np.full_like(x, 20 * t)], axis=-1) for t in range(12)], np.uint8
    )
