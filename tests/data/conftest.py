"""Small real videos, encoded on the spot."""

from collections.abc import Callable, Iterable
from pathlib import Path

import av
import numpy as np
import pytest

WriteVideo = Callable[..., Path]


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """Returns a function that encodes frames into a file of `tmp_path` and returns its path.

    write_video(name, frames, codec="ffv1", pix_fmt=None, options=None, pts=None, rotate=None):
    frames are uint8 (height, width, 3) RGB arrays; ffv1 with pix_fmt "bgr0" (the default) is
    lossless. `options` go to the container, `pts` are time stamps in 1/25 s, `tags` are the
    metadata of the picture stream.
    """

    def write(
        name: str,
        frames: Iterable[np.ndarray],
        codec: str = "ffv1",
        pix_fmt: str | None = None,
        options: dict[str, str] | None = None,
        pts: Iterable[int] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Path:
        frames = list(frames)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pix_fmt = pix_fmt or ("bgr0" if codec == "ffv1" else "yuv420p")
        with path.open("wb") as file, av.open(file, "w", path.suffix[1:], options=options) as out:
            stream = out.add_stream(codec, rate=25)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = pix_fmt
            stream.metadata.update(tags or {})
            for stamp, picture in zip(pts or range(len(frames)), frames, strict=True):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts = stamp
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path

    return write


@pytest.fixture
def pictures() -> np.ndarray:
    """Twelve unlike smooth colour pictures: uint8 (12, 48, 64, 3)."""
    y, x = np.mgrid[:48, :64]
    frames = [
        np.stack([4 * x, 5 * y, 20 * t + 0 * x], axis=-1) if t % 2 else
        np.stack([255 - 4 * x, 10 * t + 0 * x, 5 * y], axis=-1)
        for t in range(12)
    ]
    return np.array(frames).astype(np.uint8)
