"""The embedded demo data set: nine classes of clips, rendered from a seed.

A ball, patterned in one of three ways, rises, falls or sways. The pattern shows in one frame
and hardly in the flow, the motion shows in the flow and in no single frame; both show only for a
moment of the clip, which one snippet often misses; and the camera moves all the while, which is in
the way of plain flow. Every class looks the same in a mirror.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tsn.datasets.demo_plan import DemoClip, plan
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path, write_text
from tsn.runtime.progress import track

FRAME_RATE = 25
"""Frames per second; the pipeline does not use it."""

SIZE = (128, 96)
"""Width and height: three eighths of the height that real videos are resized to."""

FRAMES = 40
"""Frames of a clip: as many as most clips of HMDB51 have."""

# MPEG-4 part 2 at nearly its best quality: every FFmpeg has this encoder, and it gives the same
# bytes every time, which libx264 in PyAV's wheels does not, not even with one thread.
_ENCODER = "mpeg4"
_QUALITY = {"qmin": "2", "qmax": "4", "b": "4M"}


def render(
    clip: DemoClip, path: str | os.PathLike, size: tuple[int, int] = SIZE, frames: int = FRAMES
) -> None:
    """Render a clip into an MP4 file, which appears when it is complete.

    The same clip gives the same bytes, given the same library versions and kind of machine.

    Args:
        clip: what to render.
        path: the file; folders are made as needed.
        size: width and height in pixels, even and at least 32.
        frames: length of the clip, at least 12.

    Raises:
        UserError: the size or the length is out of range.
    """
    import av

    from tsn.datasets.demo_scene import draw

    if min(size) < 32 or size[0] % 2 or size[1] % 2:
        raise UserError(f"size is {size[0]}x{size[1]}; demo clips need even sizes of at least 32")
    if frames < 12:
        raise UserError(f"frames is {frames}; demo clips need at least 12")
    with atomic_path(Path(path)) as unfinished, av.open(str(unfinished), "w", "mp4") as out:
        stream = out.add_stream(_ENCODER, rate=FRAME_RATE, options=_QUALITY)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # the bytes depend on it
        for time, image in enumerate(draw(clip.pattern, clip.motion, clip.seed, size, frames)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            # Left to itself, PyAV converts in as many threads as there are cores.
            frame = frame.reformat(format="yuv420p", interpolation="BICUBIC", threads=1)
            frame.pts = time
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


def render_all(
    clips: Sequence[DemoClip],
    folder: str | os.PathLike,
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
    threads: int = 1,
) -> Iterator[DemoClip]:
    """Render clips to folder/{id}.mp4, several at a time; yields each when it is there."""
    with ThreadPoolExecutor(threads) as pool:
        # Threads do: OpenCV and the encoder, which have most of the work, leave Python's lock.
        work = {
            pool.submit(render, clip, Path(folder) / f"{clip.id}.mp4", size, frames): clip
            for clip in clips
        }
        for job in as_completed(work):
            job.result()
            yield work[job]


def render_dataset(manifest: Path, dataset: dict, threads: int) -> None:
    """Render the whole data set beside its manifest, which is written last.

    Args:
        manifest: a TSV with one row per clip: id, class, split, seed.
        dataset: the fields `render_seed`, `train_per_class` and `test_per_class` of a
            `DatasetConfig`.
        threads: clips rendered at a time.
    """
    keys = ("render_seed", "train_per_class", "test_per_class")
    clips = plan(*(dataset[key] for key in keys))
    rendered = render_all(clips, manifest.parent, threads=threads)
    for _ in track(rendered, len(clips), "clips", "demo videos"):
        pass
    rows = [(clip.id, clip.class_name, clip.split, str(clip.seed)) for clip in clips]
    lines = ["\t".join(row) for row in [("id", "class", "split", "seed"), *rows]]
    write_text(manifest, "\n".join(lines) + "\n")
