"""Videos that are folders of images, or tar archives of them: frames and flow."""

import math
import os
import tarfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from tsn.video import MAX_SIDE, FrameSize, Size, target_size
from tsn.video.decode import MAX_FRAMES, check_arguments, to_grey
from tsn.video.errors import VideoError
from tsn.video.images import claimed_size, decode_image, is_cut_short, is_jpeg, resize
from tsn.video.naming import TAR, Naming, folder_of, number_of
from tsn.video.span import Span


@dataclass(frozen=True)
class ImageSequence:
    """The images of one template, in the order of their numbers.

    Attributes:
        folder: where they lie; for the messages.
        names: of the files, or of the members of the archive.
        archive: the tar archive; None for a folder.
    """

    folder: Path
    names: list[str]
    archive: Path | None

    def read(self, start: int, end: int, grey: bool) -> Iterator[tuple[bytes, np.ndarray]]:
        """Images from `start` to before `end`: the file's bytes, and uint8 (H, W, 3) or (H, W).

        Raises:
            VideoError: one is damaged, or of another size than the first.
        """
        first: Size | None = None
        for name, data in self._files(self.names[start:end]):
            path, size = self.folder / name, claimed_size(data)
            if size is None or max(size) > MAX_SIDE:
                raise VideoError("unreadable", path, "is not a JPEG or PNG of a usable size")
            first = first or size
            if size != first:
                old, new = ("{}x{}".format(*s) for s in (first, size))
                raise VideoError("size_changed", path, f"is {new} where others are {old}")
            if is_jpeg(data) and is_cut_short(data):
                raise VideoError("truncated", path, "is cut short")
            image = decode_image(data, grey)
            if image is None:
                raise VideoError("unreadable", path, "is damaged")
            yield data, image

    def _files(self, names: list[str]) -> Iterator[tuple[str, bytes]]:
        try:
            if self.archive is None:
                for name in names:
                    yield name, (self.folder / name).read_bytes()
                return
            members = _members(self.archive)
            with self.archive.open("rb") as archive:
                for name in names:
                    offset, size = members[self.folder][name]
                    archive.seek(offset)
                    yield name, archive.read(size)
        except OSError as error:
            problem = f"cannot be read ({error.strerror})"
            raise VideoError("inaccessible", self.folder, problem) from None


def find_images(video: Path, template: str, start: int | None = None) -> ImageSequence:
    """The images of a video by their template.

    Raises:
        VideoError: there is none, or numbers are missing between them.
    """
    video = video.with_name(video.name.removesuffix(TAR))
    folder, number = folder_of(template, video), number_of(template)
    found, archive = _listed(folder)
    numbered = sorted((n, name) for name in found if (n := number(name)) is not None)
    if not numbered:
        raise VideoError("missing", folder, f"has no image named {os.path.basename(template)}")  # noqa: PTH119
    first = numbered[0][0]
    if first != start and (start is not None or first > 1):
        expected = start if start is not None else "0 or 1"
        problem = f"begins with image {first} instead of {expected}"
        raise VideoError("incomplete", folder, problem)
    if len(numbered) != numbered[-1][0] - first + 1:
        there = {n for n, _ in numbered}
        gap = next(n for n in range(first, numbered[-1][0]) if n not in there)
        problem = f"has {len(numbered)} images up to number {numbered[-1][0]}; {gap} is missing"
        raise VideoError("incomplete", folder, problem)
    return ImageSequence(folder, [name for _, name in numbered], archive)


def _listed(folder: Path) -> tuple[list[str], Path | None]:
    """Names in a folder; or in a part of a tar archive, and that archive."""
    try:
        return os.listdir(folder), None  # noqa: PTH208 - names
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise VideoError("inaccessible", folder, f"cannot be read ({error.strerror})") from None
    for parent in (folder, *folder.parents):
        archive = parent.with_name(f"{parent.name}{TAR}")
        if archive.is_file():
            return list(_members(archive).get(folder, ())), archive
    raise VideoError("missing", folder, "does not exist")


@lru_cache(maxsize=4)
def _members(archive: Path) -> dict[Path, dict[str, tuple[int, int]]]:
    """Folder in an uncompressed tar archive -> name of a file -> its offset and size in bytes."""
    top = archive.with_name(archive.name.removesuffix(TAR))
    found: dict[Path, dict[str, tuple[int, int]]] = defaultdict(dict)
    try:
        with tarfile.open(archive, "r:") as members:
            for member in members:
                if member.isreg():
                    path = top / os.path.normpath(member.name)
                    found[path.parent][path.name] = member.offset_data, member.size
                members.members = []  # type: ignore[attr-defined]  # tarfile keeps all of them
    except (OSError, tarfile.TarError) as error:
        raise VideoError("unreadable", archive, f"cannot be read ({error})") from None
    return dict(found)


@dataclass(frozen=True)
class FrameFolder:
    """One video.

    Args:
        path: its folder or archive.
        naming: of its images.
        frame_rate: for a span in seconds.
        span: only these frames; None for all.
    """

    path: Path
    naming: Naming
    frame_rate: float | None = None
    span: Span | None = None

    def frames(self, max_frames: int = MAX_FRAMES) -> Iterator[tuple[bytes, np.ndarray]]:
        """Every frame as the bytes of its file and as uint8 (H, W, 3) RGB.

        Raises:
            VideoError: the images are damaged or incomplete, or there is one alone, or too many.
        """
        images = find_images(self.path, self.naming.rgb, self.naming.start)
        start, end = self._range(len(images.names))
        if end - start > max_frames:
            raise VideoError("too_long", self.path, f"has more than {max_frames} frames")
        if end - start < 2:
            where = f" in the clip {self.span}" if self.span else ""
            problem = f"has {max(end - start, 0)} frame(s){where}, and 2 are the least"
            raise VideoError("too_short", self.path, problem)
        return images.read(start, end, grey=False)

    def flow(self) -> Iterator[np.ndarray]:
        """Every flow field: uint8 (2, H, W), x and y.

        Raises:
            VideoError: the images are damaged or incomplete, or do not go with the frames.
        """
        assert self.naming.flow
        x, y = (find_images(self.path, t, self.naming.start) for t in self.naming.flow)
        frames = len(find_images(self.path, self.naming.rgb, self.naming.start).names)
        if len(x.names) != len(y.names):
            problem = f"has {len(x.names)} images of x and {len(y.names)} of y"
            raise VideoError("incomplete", x.folder, problem)
        first = _first_field(x, frames, self.naming.flow_stride)
        start, end = self._range(frames)
        stride = self.naming.flow_stride
        # A field is that of the pair of frames (t, t + 1), and within the clip if both are.
        chosen = first + -(-start // stride), first + -(-(end - 1) // stride)
        for (_, one), (_, other) in zip(x.read(*chosen, True), y.read(*chosen, True), strict=True):
            if one.shape != other.shape:
                raise VideoError("size_changed", y.folder, "has images of other sizes than x")
            yield np.stack([one, other])

    def _range(self, count: int) -> tuple[int, int]:
        """Numbers of the first frame of the span and of the one after the last."""
        if self.span is None:
            return 0, count
        start, end = self.span.start, self.span.end
        if self.span.unit == "s":
            if self.frame_rate is None:
                problem = f"has no time stamps, and its clip is {self.span}"
                raise VideoError("no_times", self.path, problem)
            # To a millionth of a frame: times in decimals are not multiples of a frame.
            start, end = (round(t * self.frame_rate, 6) for t in (start, end))
        return math.ceil(start), min(count, count if math.isinf(end) else math.ceil(end))


def _first_field(images: ImageSequence, frames: int, stride: int) -> int:
    """Position of the flow field between the first two frames.

    Raises:
        VideoError: there are more or fewer fields than frames have pairs.
    """
    fields = len(images.names)
    if stride == 1 and fields == frames:
        # dense_flow stores the second frame of every pair: the first field begins before them.
        return 1
    if fields in ({frames - 1} if stride == 1 else {(frames - 1) // stride, -(-frames // stride)}):
        return 0
    problem = f"has {fields} flow fields where {frames} frames have {(frames - 1) // stride}"
    raise VideoError("incomplete", images.folder, problem)


def read_frames(
    folder: FrameFolder,
    size: FrameSize | None,
    colour: Literal["rgb", "grey"] = "rgb",
    max_frames: int = MAX_FRAMES,
) -> Iterator[np.ndarray]:
    """The frames of a folder as `tsn.video.decode.read_frames` yields those of a video.

    Raises:
        VideoError: as of `FrameFolder.frames`.
        ValueError: an argument is out of range.
    """
    check_arguments(size, colour, max_frames)
    for _, full in folder.frames(max_frames):
        frame = resize(full, target_size(full.shape[1::-1], size))
        yield to_grey(frame) if colour == "grey" else frame
