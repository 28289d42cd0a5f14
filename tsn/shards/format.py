"""Shards: HDF5 files with the frames or the flow of many videos.

A shard holds a table `videos` (an entry per video, good or bad) and the frames or flow fields of
all of them. A video with N frames has N RGB frames or N-1 flow fields; flow field t is the motion
from frame t to frame t+1 (or N-s, to frame t+s, where `flow.step` is s).

    rgb:   `jpeg` uint8 (bytes,) and `offsets` int64 (frames + 1,):
           the JPEG of frame i is jpeg[offsets[i]:offsets[i + 1]]
    flow:  `flow` uint8 (fields, 2, H, W): x and y, quantised; Zstandard, one field a chunk.
           Where frames keep their aspect, `flow_455x256` and so on, for each size that there is

The attribute `fingerprint` (JSON) says what determines the frames or flow fields. Chunks are under
Fletcher-32 checksums, so damage on disk is an error when it is read, and the whole file under a
seal (`tsn.shards.hdf5`) that is checked before training. Nothing in a shard is executable.
"""

import json
import operator
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
from tsn.shards.chunks import ZSTD_LEVEL, Chunks, compress_fields
from tsn.shards.hdf5 import DAMAGE, SEALED, read_all, seal
from tsn.shards.reader import ShardReader, check_contents, damaged, flow_name, open_shard
from tsn.video import MAX_SIDE, FrameSize, Size
from tsn.video.images import claimed_size

FORMAT_VERSION, OF_SEVERAL_SIZES = 1, 2
"""Versions of the format: with one size, as it always was, and with several."""
OK = "ok"
STREAMS = ("rgb", "flow", "warped_flow")
_BLOCK = 1 << 16
"""Bytes per chunk of `jpeg`: a few frames, so that a read fetches little more than it needs."""

Data = bytes | np.ndarray | Chunks
"""A JPEG, flow fields, or flow fields as chunks."""

_COLUMNS = ("id", "class", "first_row", "rows", "status", "message", "clipped")
_SIZES = ("width", "height")
"""Further columns of shards with frames of several sizes."""


@dataclass(frozen=True)
class StoredVideo:
    """An entry of the table `videos`, in the order of its columns.

    Attributes:
        id: path within the data set, without ending.
        class_name: its class.
        start: position of its first frame or flow field in the file.
        length: number of its frames or flow fields; 0 if it is quarantined.
        status: "ok", or why it is quarantined (`tsn.video.errors.Status`).
        message: the same in a sentence.
        clipped: fraction (0...1) of flow values beyond the bound.
        width, height: of its frames in pixels; 0 if it is quarantined.
    """

    id: str
    class_name: str
    start: int
    length: int
    status: str
    message: str
    clipped: float = 0.0
    width: int = 0
    height: int = 0

    @property
    def size(self) -> Size:
        """(width, height) in pixels."""
        return self.width, self.height

    @property
    def ok(self) -> bool:
        """Whether the video is not quarantined."""
        return self.status == OK


class ShardWriter:
    """Writes one shard; use it through `write_shard`."""

    def __init__(self, file: h5py.File, stream: str, size: FrameSize):
        self._file, self._stream, self._size = file, stream, size
        self._videos: list[StoredVideo] = []
        self._bytes, self._clipped, self._offsets = 0, 0.0, [0]
        self._flow: dict[Size, h5py.Dataset] = {}
        self._fields: dict[Size, int] = {}
        if stream == "rgb":
            self._jpeg = file.create_dataset(
                "jpeg", (0,), "u1", maxshape=(None,), chunks=(_BLOCK,), fletcher32=True
            )
        elif not isinstance(size, int):
            self._create_flow(size)

    def _create_flow(self, size: Size) -> None:
        width, height = size
        self._fields[size] = 0
        self._flow[size] = self._file.create_dataset(
            flow_name(size, self._size),
            (0, 2, height, width),
            "u1",
            maxshape=(None, 2, height, width),
            chunks=(1, 2, height, width),
            fletcher32=True,
            **hdf5plugin.Zstd(clevel=ZSTD_LEVEL),
        )

    def add(self, video_id: str, class_name: str, data: Iterable[Data]) -> None:
        """Append a video.

        Args:
            video_id: its id.
            class_name: its class.
            data: JPEG bytes (rgb), or uint8 arrays (n, 2, H, W) or what `compress_fields` made of
                them (flow), as an iterable. If it raises, nothing of the video stays in the shard.

        Raises:
            ValueError: flow fields are of another type or size than the shard or the video.
        """
        bytes_before, start = self._bytes, len(self._offsets) - 1
        self._clipped, count = 0.0, 0
        size = None if isinstance(self._size, int) else self._size
        try:
            for part in data:
                if isinstance(part, bytes):
                    size = size or claimed_size(part)
                    self._append_jpeg(part)
                    count += 1
                    continue
                chunks = _checked(part)
                size = size or chunks.size
                self._append_fields(chunks, size, count)
                count += len(chunks)
        except BaseException:
            self._bytes = bytes_before
            del self._offsets[start + 1 :]
            raise
        if self._stream != "rgb":
            start = self._fields.get(size, 0) if size else 0
            if size and count:
                self._fields[size] += count
        clipped = self._clipped / max(count, 1)
        video = StoredVideo(video_id, class_name, start, count, OK, "", clipped, *(size or (0, 0)))
        self._videos.append(video)

    def quarantine(self, video_id: str, class_name: str, status: str, message: str) -> None:
        """Record a video that cannot be used, and why."""
        if self._stream == "rgb":
            start = len(self._offsets) - 1
        else:
            start = 0 if isinstance(self._size, int) else self._fields[self._size]
        self._videos.append(StoredVideo(video_id, class_name, start, 0, status, message))

    def count_clipped(self, fraction: float, fields: int) -> None:
        """Note the fraction (0...1) of clipped values in `fields` flow fields of this video."""
        self._clipped += fraction * fields

    def _append_jpeg(self, data: bytes) -> None:
        jpeg = np.frombuffer(data, np.uint8)
        self._jpeg.resize(self._bytes + len(jpeg), 0)
        self._jpeg[self._bytes :] = jpeg
        self._bytes += len(jpeg)
        self._offsets.append(self._bytes)

    def _append_fields(self, chunks: Chunks, size: Size, before: int) -> None:
        """Append flow fields of a video that has some `before` them."""
        if chunks.size != size:
            width, height = size
            raise ValueError(
                f"flow fields must be uint8 (n, 2, {height}, {width}), not of {chunks.size} px"
            )
        if size not in self._flow:
            self._create_flow(size)
        first, data = self._fields[size] + before, self._flow[size]
        data.resize(first + len(chunks), 0)
        for number, chunk in enumerate(chunks, first):
            data.id.write_direct_chunk((number, 0, 0, 0), chunk)

    def finish(self) -> None:
        """Write the table; called by `write_shard`."""
        if self._stream == "rgb":
            self._jpeg.resize(self._bytes, 0)
            self._file.create_dataset(
                "offsets", data=np.array(self._offsets, np.int64), fletcher32=True
            )
        for size, data in self._flow.items():
            data.resize(self._fields[size], 0)
        if not self._videos:
            raise ValueError("a shard needs at least one video")
        names = _COLUMNS + (_SIZES if isinstance(self._size, int) else ())
        columns = list(zip(*map(astuple, self._videos), strict=True))[: len(names)]
        table = np.rec.fromarrays([_column(values) for values in columns], names=names)  # type: ignore[call-overload]
        self._file.create_dataset("videos", data=table, chunks=table.shape, fletcher32=True)


def _checked(part: np.ndarray | Chunks) -> Chunks:
    """Compressed flow fields of an array, or as they are.

    Raises:
        ValueError: the array holds no flow fields.
    """
    if not isinstance(part, np.ndarray):
        return part
    if part.dtype != np.uint8 or part.ndim != 4 or part.shape[1] != 2:
        raise ValueError(f"flow fields must be uint8 (n, 2, H, W), not {part.dtype} {part.shape}")
    return compress_fields(part)


def _column(values: tuple) -> np.ndarray:
    """Text as bytes of fixed length: HDF5 keeps text of any length where no checksum covers it."""
    if isinstance(values[0], str):
        return np.array([value.encode("utf-8", errors="surrogateescape") for value in values])
    return np.array(values)


def _text(value: bytes) -> str:
    """Names that are not UTF-8 keep their bytes."""
    return value.decode("utf-8", errors="surrogateescape")


@contextmanager
def write_shard(
    path: Path | str, stream: str, size: FrameSize, fingerprint: dict, made_with: dict
) -> Iterator[ShardWriter]:
    """Write a shard; it appears under its name only when all of it is on disk.

    Args:
        path: the HDF5 file.
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) in pixels, or the shorter side of frames of several sizes.
        fingerprint: what determines the numbers; models trained on one refuse another.
        made_with: versions of decoders and code, for the record.

    Raises:
        ValueError: the stream or the size is none, or no video was added.
    """
    sides = (size,) if isinstance(size, int) else size
    if stream not in STREAMS or not 1 <= min(sides) <= max(sides) <= MAX_SIDE:
        raise ValueError(f"no shard holds {stream!r} of size {size}")
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", **SEALED) as file:
            several = isinstance(size, int)
            file.attrs["format_version"] = OF_SEVERAL_SIZES if several else FORMAT_VERSION
            file.attrs["stream"] = np.bytes_(stream)
            file.attrs["short_side" if several else "size"] = np.array(size, np.int32)
            file.attrs["fingerprint"] = np.bytes_(json.dumps(fingerprint, sort_keys=True))
            file.attrs["made_with"] = np.bytes_(json.dumps(made_with, sort_keys=True))
            writer = ShardWriter(file, stream, size)
            yield writer
            writer.finish()
        seal(temporary)


class Shard:
    """Reads a shard: open it in the process that reads from it.

    Attributes:
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) in pixels, or the shorter side of frames of several sizes.
        fingerprint: what determines the frames or flow fields.
        videos: `StoredVideo` by id, in file order.

    Raises:
        UserError: if the file is absent, damaged, or not a shard of this format.
    """

    def __init__(self, path: Path | str):
        self.path = Path(path)
        try:
            self._file = open_shard(self.path)
            self._read_table()
        except DAMAGE as error:
            raise damaged(self.path, error) from None

    def _read_table(self) -> None:
        attributes = self._file.attrs
        version = int(attributes["format_version"])
        if version not in (FORMAT_VERSION, OF_SEVERAL_SIZES):
            raise UserError(
                f"{self.path}: shard format {version}, this version reads {FORMAT_VERSION} and "
                f"{OF_SEVERAL_SIZES}; make the shard anew"
            )
        self.stream = attributes["stream"].decode()
        several = version == OF_SEVERAL_SIZES
        if several:
            self.size: FrameSize = int(attributes["short_side"])
        else:
            width, height = map(int, attributes["size"])
            self.size = width, height
        self.fingerprint = dict(json.loads(attributes["fingerprint"]))
        self.made_with = json.loads(attributes["made_with"])
        videos = [
            StoredVideo(
                _text(row["id"]),
                _text(row["class"]),
                int(row["first_row"]),
                int(row["rows"]),
                _text(row["status"]),
                _text(row["message"]),
                float(row["clipped"]),
                int(row["width"]) if several else width,
                int(row["height"]) if several else height,
            )
            for row in read_all(self._file, "videos")
        ]
        self.videos = {video.id: video for video in videos}
        check_contents(
            self._file, self.stream, self.size, [(v.start, v.length, v.size) for v in videos]
        )
        self._reader = ShardReader(self._file, self.path)

    def read(self, video: StoredVideo, indices: Iterable[int]) -> np.ndarray:
        """Frames or flow fields of a video, numbered from 0 within it; indices may repeat.

        Returns:
            uint8 (n, H, W, 3) RGB for the stream "rgb", (n, 2, H, W) for flow.

        Raises:
            UserError: if the shard is damaged on disk.
            IndexError: if an index is outside the video.
        """
        indices = [operator.index(index) for index in indices]
        if indices and not 0 <= min(indices) <= max(indices) < video.length:
            raise IndexError(
                f"{video.id}: {min(indices)}…{max(indices)} of a video with {video.length}"
            )
        return self._reader.read([video.start + index for index in indices], video.size)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Shard":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
