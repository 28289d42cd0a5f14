"""Files of flow and of figures, written incrementally and renamed into place when complete.

with npy_file(path) as write:
write(flow)  # float32 (n, 2, H, W), px; any number of times
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np

from tsn.flow.quantise import quantise
from tsn.runtime.files import atomic_folder, atomic_path
from tsn.shards.folders import ImageWriter

FLO_TAG = 202021.25
"""First number of a .flo file, "PIEH" as bytes (Middlebury's README of the format)."""

Write = Callable[[np.ndarray], None]


@contextmanager
def field_folder(path: Path, ending: str, encode: Callable[[np.ndarray], bytes]) -> Iterator[Write]:
    """Write flow (n, 2, H, W) in px as a folder of one file per pair, numbered from 000000.

    A folder that exists is replaced.
    """
    with atomic_folder(path) as folder:
        numbers = itertools.count()

        def write(flow: np.ndarray) -> None:
            for field in flow:
                (folder / f"{next(numbers):06}{ending}").write_bytes(encode(field))

        yield write


def flo_bytes(field: np.ndarray) -> bytes:
    """Flow (2, H, W) in Middlebury's format: tag, width, height, then x and y of every pixel.

    Little-endian float32, int32, int32; x and y, row by row, as float32.
    """
    height, width = field.shape[1:]
    header = np.array(FLO_TAG, "<f4").tobytes() + np.array([width, height], "<i4").tobytes()
    return header + field.transpose(1, 2, 0).astype("<f4").tobytes()


def kitti_bytes(field: np.ndarray) -> bytes:
    """Flow (2, H, W) as KITTI's PNG of three channels of 16 bits: x, y and whether it is known.

    A value is 64 v + 32768, so ± 512 px in steps of 1/64 (development kit of the benchmark).
    """
    import cv2

    x, y = np.clip(np.rint(64 * field) + 32768, 0, 65535).astype(np.uint16)
    # OpenCV writes the last channel first.
    return cv2.imencode(".png", np.stack([np.ones_like(x), y, x], axis=2))[1].tobytes()


@contextmanager
def image_files(images: AbstractContextManager[ImageWriter], bound: float) -> Iterator[Write]:
    """Write flow (n, 2, H, W) in px as grey JPEGs of x and y, quantised within ± bound px."""
    with images as writer:

        def write(flow: np.ndarray) -> None:
            for field in quantise(flow, bound):
                writer.add_flow(field)

        yield write


@contextmanager
def npy_file(path: Path) -> Iterator[Write]:
    """Write flow (n, 2, H, W) in px as one float32 array (pairs, 2, H, W), as `np.load` reads it.

    The number of pairs is known at the end only: then the header, which NumPy pads, is rewritten.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        pairs = 0
        shape: tuple[int, ...] = (2, 0, 0)

        def write_header() -> None:
            file.seek(0)
            header = {"descr": "<f4", "fortran_order": False, "shape": (pairs, *shape)}
            np.lib.format.write_array_header_1_0(file, header)

        def write(flow: np.ndarray) -> None:
            nonlocal pairs, shape
            if not pairs:
                shape = flow.shape[1:]
                write_header()
            file.write(np.ascontiguousarray(flow, "<f4").data)
            pairs += len(flow)

        yield write
        write_header()


@contextmanager
def mp4_file(path: Path, rate: Fraction) -> Iterator[Write]:
    """Write frames, uint8 (n, H, W, 3) RGB, as an H.264 video at `rate` frames a second.

    For the sake of players: 4:2:0 colours, and an odd side is made even by repeating its last line.
    """
    import av

    # FFmpeg builds without x264 still have MPEG-4, and not every player.
    codec, quality = "mpeg4", {"qmin": "2", "qmax": "4", "b": "8M"}
    if "libx264" in av.codecs_available:
        codec, quality = "libx264", {"crf": "18", "preset": "veryfast"}
    with (
        atomic_path(path) as temporary,
        # FFmpeg gets no name: it would take some for addresses.
        temporary.open("wb") as file,
        av.open(file, "w", format="mp4", options={"movflags": "faststart"}) as out,
    ):
        # The limit is MPEG-4's, and holds every usual rate, 30000/1001 for one.
        stream = cast(
            av.VideoStream,
            out.add_stream(codec, rate=rate.limit_denominator(1001), options=quality),
        )
        stream.pix_fmt = "yuv420p"
        times = itertools.count()

        def write(images: np.ndarray) -> None:
            _, height, width, _ = images.shape
            even = np.pad(images, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
            for image in even:
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = next(times)
                if not frame.pts:
                    stream.height, stream.width = even.shape[1:3]
                out.mux(stream.encode(frame))

        yield write
        out.mux(stream.encode())


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image, uint8 (H, W, 3) RGB."""
    import cv2

    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
