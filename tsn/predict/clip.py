"""The rows of a video file, computed when they are asked for: a shard without a file.

A row is what the pipeline's shards would hold, byte by byte: the same decoder, size, JPEG quality,
flow engine and quantisation. Only the rows of the test's snippets are computed, so that a long
video costs its decoding and no more flow than a short one.
"""

from collections.abc import Iterable

import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.models.modality import FLOW_MODALITIES, STREAM_OF
from tsn.runtime.errors import UserError
from tsn.shards.jpeg import decode_jpeg, encode_jpeg
from tsn.shards.store import differing_key
from tsn.video.decode import read_frames, to_grey


class RowMaker:
    """Makes rows as the shards have them that a model was trained on.

    Args:
        modality: of the model.
        fingerprint: of its shards.
        threads: pairs of frames whose flow is computed at a time.

    Raises:
        UserError: this machine cannot make such rows; flow of another engine would cost points
            silently.
    """

    def __init__(self, modality: str, fingerprint: dict, threads: int):
        self.stream = STREAM_OF[modality]
        self._fingerprint = fingerprint
        self.size = tuple(fingerprint["size"])
        if modality in FLOW_MODALITIES:
            made_by = fingerprint["tvl1"] if modality == "warped_flow" else fingerprint
            self._tvl1 = TVL1(TVL1Params.from_record(made_by), made_by["backend"], threads)
            self._undo = WarpedFlow(self._tvl1) if modality == "warped_flow" else None
            self._check(self._undo.fingerprint if self._undo else self._tvl1.fingerprint)

    def _check(self, ours: dict) -> None:
        theirs = {k: v for k, v in self._fingerprint.items() if k not in ("size", "bound")}
        if ours != theirs:
            key = differing_key(theirs, ours)
            raise UserError(
                f"the {self.stream} model was trained on flow with {key} = {theirs.get(key)!r}, "
                f"and here it is {ours.get(key)!r}; use the version that made it, or train it again"
            )

    def rgb(self, frames: list[np.ndarray]) -> np.ndarray:
        """Frames as they come out of a shard: uint8 (n, H, W, 3)."""
        quality = self._fingerprint["jpeg_quality"]
        encoded = (np.frombuffer(encode_jpeg(frame, quality), np.uint8) for frame in frames)
        return np.stack([decode_jpeg(data, self.size) for data in encoded])

    def flow(self, frames: np.ndarray) -> np.ndarray:
        """Quantised flow of neighbouring grey frames (n + 1, H, W): uint8 (n, 2, H, W)."""
        bound = self._fingerprint["bound"]
        data = quantise(self._tvl1(frames), bound)
        if self._undo:
            data = quantise(self._undo(frames, dequantise(data, bound)), bound)
        return data


class Clip:
    """One video, with what `tsn.data.dataset` asks of a `ShardSet`.

    Args:
        path: the video file.
        make: makes its rows.

    Raises:
        VideoError: the video is bad.
    """

    def __init__(self, path: str, make: RowMaker):
        self._path, self._make = path, make
        self.stream, self.size = make.stream, make.size
        self.frames = sum(1 for _ in read_frames(path, self.size))

    def usable(self, _: str) -> bool:
        """A video that could be counted can be used."""
        return True

    def number(self, _: str) -> int:
        """There is one video."""
        return 0

    def length_at(self, _: int) -> int:
        """How many rows the video has: a flow row is between two frames."""
        return self.frames - (self.stream != "rgb")

    def read_at(self, _: int, rows: Iterable[int]) -> np.ndarray:
        """Rows as a shard stores them: uint8 (n, H, W, 3) RGB or (n, 2, H, W) flow."""
        distinct, place = np.unique(np.asarray(list(rows)), return_inverse=True)
        if self.stream == "rgb":
            frames = self._read_frames(distinct.tolist())
            return self._make.rgb([frames[t] for t in distinct])[place]
        frames = self._read_frames(sorted({*distinct, *(distinct + 1)}))
        grey = {t: to_grey(frame) for t, frame in frames.items()}
        runs = np.split(distinct, np.flatnonzero(np.diff(distinct) > 1) + 1)
        parts = [self._make.flow(np.stack([grey[t] for t in (*run, run[-1] + 1)])) for run in runs]
        return np.concatenate(parts)[place]

    def _read_frames(self, wanted: list[int]) -> dict[int, np.ndarray]:
        """Decode up to the last frame that is wanted, and keep those."""
        kept, last = set(wanted), max(wanted)
        found = {}
        for t, frame in enumerate(read_frames(self._path, self.size)):
            if t in kept:
                found[t] = frame
            if t == last:
                break
        return found
