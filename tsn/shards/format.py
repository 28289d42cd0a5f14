"""Shards: HDF5 files with the frames or the flow of many videos.

A shard holds a table `videos` (one row per video, good or bad) and its rows, one per frame (RGB)
or per pair of frames (flow). A video with N frames has N RGB rows and N-1 flow rows; flow row t is
the motion from frame t to frame t+1.

    rgb:   `jpeg` uint8 (bytes,) and `offsets` int64 (rows + 1,):
           the JPEG of row i is jpeg[offsets[i]:offsets[i + 1]]
    flow:  `flow` uint8 (rows, 2, H, W): x and y, quantised; Zstandard, one row a chunk

The attributes say what made the rows (`fingerprint`, JSON). Everything is under checksums (chunks
under Fletcher-32), so damage on disk is an error when it is read, and the whole file under a seal
(`tsn.shards.hdf5`) that is checked before training. Nothing in a shard is executable.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
from tsn.shards.checks import check_rows
from tsn.shards.hdf5 import DAMAGE, SEALED, read_all, seal
from tsn.shards.reader import ShardRows, damaged, open_shard

FORMAT_VERSION = 1
OK = "ok"
_BLOCK = 1 << 16
"""Bytes per chunk of `jpeg`: a few frames, so that a read fetches little more than it needs."""

ZSTD_LEVEL = 3
"""A row of a UCF101 clip takes 23.5 KB, and 0.22 ms to read; with Blosc2 (zstd 1, shuffled bytes)
25.7 KB and 0.48 ms, with LZ4 52.7 KB and 0.14 ms."""

_COLUMNS = ("id", "class", "first_row", "rows", "status", "message", "clipped")


@dataclass(frozen=True)
class VideoRows:
    """One row of the table `videos`; `clipped` is the share of flow values beyond the bound."""

    id: str
    class_name: str
    first_row: int
    rows: int
    status: str
    message: str
    clipped: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the video has rows that can be used."""
        return self.status == OK


class ShardWriter:
    """Writes one shard; use it through `write_shard`."""

    def __init__(self, file: h5py.File, stream: str, size: tuple[int, int]):
        self._file, self._stream, self._size = file, stream, size
        self._videos: list[VideoRows] = []
        self._rows = self._bytes = 0
        self._clipped = 0.0
        self._offsets = [0]
        width, height = size
        if stream == "rgb":
            self._data = file.create_dataset(
                "jpeg", (0,), "u1", maxshape=(None,), chunks=(_BLOCK,), fletcher32=True
            )
        else:
            self._data = file.create_dataset(
                "flow",
                (0, 2, height, width),
                "u1",
                maxshape=(None, 2, height, width),
                chunks=(1, 2, height, width),
                fletcher32=True,
                **hdf5plugin.Zstd(clevel=ZSTD_LEVEL),
            )

    def add(self, video_id: str, class_name: str, rows: Iterable) -> None:
        """Append a video.

        Args:
            video_id: its id.
            class_name: its class.
            rows: JPEG bytes (rgb) or uint8 arrays (n, 2, H, W) (flow), as an iterable. If it
                raises, nothing of the video stays in the shard.
        """
        start = (self._rows, self._bytes, len(self._offsets))
        self._clipped = 0.0
        try:
            for block in rows:
                self._append(block)
        except BaseException:
            self._rows, self._bytes = start[:2]
            del self._offsets[start[2] :]
            raise
        count = self._rows - start[0]
        clipped = self._clipped / max(count, 1)
        self._videos.append(VideoRows(video_id, class_name, start[0], count, OK, "", clipped))

    def quarantine(self, video_id: str, class_name: str, status: str, message: str) -> None:
        """Record a video that cannot be used, and why."""
        self._videos.append(VideoRows(video_id, class_name, self._rows, 0, status, message))

    def count_clipped(self, share: float, rows: int) -> None:
        """A share (0…1) of the values of `rows` rows of the video being added was clipped."""
        self._clipped += share * rows

    def _append(self, block) -> None:
        if self._stream == "rgb":
            jpeg = np.frombuffer(block, np.uint8)
            self._data.resize(self._bytes + len(jpeg), 0)
            self._data[self._bytes :] = jpeg
            self._bytes += len(jpeg)
            self._offsets.append(self._bytes)
            self._rows += 1
        else:
            self._data.resize(self._rows + len(block), 0)
            self._data[self._rows :] = block
            self._rows += len(block)

    def finish(self) -> None:
        """Write the table; called by `write_shard`."""
        self._data.resize(self._bytes if self._stream == "rgb" else self._rows, 0)
        if self._stream == "rgb":
            self._file.create_dataset(
                "offsets", data=np.array(self._offsets, np.int64), fletcher32=True
            )
        if not self._videos:
            raise ValueError("a shard needs at least one video")
        columns = zip(*map(astuple, self._videos), strict=True)
        table = np.rec.fromarrays([_column(values) for values in columns], names=_COLUMNS)
        self._file.create_dataset("videos", data=table, chunks=table.shape, fletcher32=True)


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
    path: Path | str, stream: str, size: tuple[int, int], fingerprint: dict, made_with: dict
) -> Iterator[ShardWriter]:
    """Write a shard; it appears under its name only when all of it is on disk.

    Args:
        path: the HDF5 file.
        stream: "rgb", "flow" or "warped_flow".
        size: (width, height) of every row in pixels.
        fingerprint: what determines the numbers; models trained on one refuse another.
        made_with: versions of decoders and code, for the record.

    Raises:
        ValueError: if no video was added.
    """
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w", **SEALED) as file:
            file.attrs["format_version"] = FORMAT_VERSION
            file.attrs["stream"] = np.bytes_(stream)
            file.attrs["size"] = np.array(size, np.int32)
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
        size: (width, height) in pixels.
        fingerprint: what made the rows.
        videos: `VideoRows` by id, in file order.

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
        if version != FORMAT_VERSION:
            raise UserError(
                f"{self.path}: shard format {version}, this version reads {FORMAT_VERSION}; "
                "make the shard anew"
            )
        self.stream = attributes["stream"].decode()
        self.size = tuple(int(side) for side in attributes["size"])
        self.fingerprint = dict(json.loads(attributes["fingerprint"]))
        self.made_with = json.loads(attributes["made_with"])
        videos = [
            VideoRows(
                _text(row["id"]),
                _text(row["class"]),
                int(row["first_row"]),
                int(row["rows"]),
                _text(row["status"]),
                _text(row["message"]),
                float(row["clipped"]),
            )
            for row in read_all(self._file, "videos")
        ]
        self.videos = {video.id: video for video in videos}
        spans = [(video.first_row, video.rows) for video in videos]
        check_rows(self._file, self.stream, self.size, spans)
        self._rows = ShardRows(self._file, self.path)

    def read(self, video: VideoRows, rows: Iterable[int]) -> np.ndarray:
        """Rows of a video, numbered from 0 within it; a row may be asked for more than once.

        Returns:
            uint8 (n, H, W, 3) RGB for the stream "rgb", (n, 2, H, W) for flow.

        Raises:
            UserError: if the shard is damaged on disk.
            IndexError: if a row is outside the video.
        """
        rows = list(rows)
        if rows and not 0 <= min(rows) <= max(rows) < video.rows:
            raise IndexError(
                f"{video.id}: rows {min(rows)}…{max(rows)} of a video with {video.rows}"
            )
        return self._rows.read([video.first_row + row for row in rows])

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> "Shard":
        return self

    def __exit__(self, *_) -> None:
        self.close()
