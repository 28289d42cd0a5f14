"""Frames, flow and warped flow of a video file: what its shards would hold, byte by byte.

Decoder, size, JPEG quality, flow engine and quantisation are those of the pipeline. Only what the
snippets need is made, so that a long video costs its decoding and no more flow than a short one.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from tsn.flow.algorithms import flow_fingerprint, recreate_estimator
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.warped import Pairs, WarpedFlow
from tsn.models.modality import NAMES, STREAM_OF
from tsn.runtime.errors import UserError
from tsn.shards.jpeg import decode_jpeg, encode_jpeg
from tsn.shards.store import ShardSet, differing_key
from tsn.video import FrameSize, Size
from tsn.video.decode import to_grey


class Streams:
    """Makes the streams that the models of a run were tested on.

    Args:
        fingerprints: of the models' shards, by modality.
        threads: pairs of frames whose flow is computed at a time.
        flow_weights: the file of RAFT's weights, where the flow is of weights of one's own.

    Attributes:
        size: (width, height) of the frames in pixels, or their shorter side.
        step: frames from the first to the second of a pair.

    Raises:
        UserError: the models were tested on streams that differ in size or flow, or this machine
            cannot make such flow; that of another engine would cost accuracy silently.
    """

    def __init__(
        self, fingerprints: dict[str, dict], threads: int, flow_weights: str | None = None
    ):
        made: dict[str, dict] = {}
        for modality, fingerprint in fingerprints.items():
            if not fingerprint.keys() & {"size", "short_side"}:
                raise UserError(
                    f"the {NAMES[modality]} model was imported and does not say how its "
                    f"{STREAM_OF[modality]} was made; test it with snakemake, and name that "
                    "experiment"
                )
            _check_equal(made.setdefault(STREAM_OF[modality], fingerprint), fingerprint, modality)
        sizes = {
            fingerprint.get("short_side") or tuple(fingerprint["size"])
            for fingerprint in made.values()
        }
        if len(sizes) > 1:
            raise UserError(
                f"the models were tested on frames of the sizes {sorted(map(str, sizes))}; test "
                "them again"
            )
        self.size: FrameSize = sizes.pop()
        self._quality: int = made["rgb"]["jpeg_quality"] if "rgb" in made else 0
        self._warped: WarpedFlow | None = None
        self.step = 1
        if warped := made.get("warped_flow"):
            plain = {**flow_fingerprint(warped), "bound": warped["bound"]} | {
                key: warped[key] for key in ("size", "short_side") if key in warped
            }
            _check_equal(made.setdefault("flow", plain), plain, "warped_flow")
        if flow := made.get("flow"):
            self._bound, self.step = flow["bound"], flow.get("step", 1)
            self._estimator = recreate_estimator(flow, threads, flow_weights)
            _check_engine(flow, self._estimator.fingerprint, "flow")
        if warped:
            self._warped = WarpedFlow(self._estimator, threads)
            _check_engine(warped, self._warped.fingerprint, "warped_flow")

    def rgb(self, frame: np.ndarray) -> np.ndarray:
        """A decoded frame as it comes out of a shard, after JPEG: uint8 (H, W, 3)."""
        data = encode_jpeg(frame, self._quality)
        return decode_jpeg(np.frombuffer(data, np.uint8), frame.shape[1::-1])

    def flow(self, frames: np.ndarray, pairs: Pairs) -> np.ndarray:
        """Quantised flow, uint8 (N, 2, H, W), of pairs of grey frames (T, H, W).

        `pairs` has the numbers of the first and of the second frames, int (N,) each.
        """
        first, second = pairs
        flow = self._estimator.pairs(frames[first], frames[second])
        return np.asarray(quantise(flow, self._bound))

    def warped_flow(
        self, frames: np.ndarray, pairs: Pairs, flow: np.ndarray, overlay: np.ndarray | None
    ) -> np.ndarray:
        """Quantised warped flow of pairs as in `flow`, of which `flow` is the quantised flow."""
        assert self._warped is not None
        warped = self._warped(frames, dequantise(flow, self._bound), overlay, pairs)
        return np.asarray(quantise(warped, self._bound))


class Clip:
    """Decoded frames of one video, and what is made of them; everything is made once.

    Args:
        streams: makes it.
        length: of the video, in frames.

    Attributes:
        id: what its streams call it.
        frames: decoded frames, uint8 (H, W, 3) RGB, by number: those that are asked for, at least.
        overlay: what belongs to the screen in its frames, for warped flow (`tsn.flow.overlay`).
    """

    id = ""

    def __init__(self, streams: Streams, length: int):
        self.streams, self.length = streams, length
        self.overlay: np.ndarray | None = None
        self.frames: dict[int, np.ndarray] = {}
        self._made: dict[str, dict[int, np.ndarray]] = {"rgb": {}, "flow": {}, "warped_flow": {}}

    def stream(self, name: str) -> "ClipStream":
        """One of its streams."""
        return ClipStream(self, name)

    def read(self, stream: str, indices: Iterable[int]) -> np.ndarray:
        """Frames or flow fields: uint8 (n, H, W, 3) RGB or (n, 2, H, W) flow."""
        indices = [int(index) for index in indices]
        made = self._made[stream]
        missing = sorted({*indices} - made.keys())
        if stream == "rgb":
            made.update((t, self.streams.rgb(self.frames[t])) for t in missing)
        elif missing:
            made.update(zip(missing, self._flow(stream, missing), strict=True))
        return np.stack([made[index] for index in indices])

    def _flow(self, stream: str, fields: list[int]) -> np.ndarray:
        """Flow fields of these numbers, all at once: a batch keeps a GPU busy."""
        ends = [min(t + self.streams.step, self.length - 1) for t in fields]
        numbers = sorted({*fields, *ends})
        grey = np.stack([to_grey(self.frames[t]) for t in numbers])
        pairs = np.searchsorted(numbers, fields), np.searchsorted(numbers, ends)
        if stream == "flow":
            return self.streams.flow(grey, pairs)
        return self.streams.warped_flow(grey, pairs, self.read("flow", fields), self.overlay)


class ClipStream:
    """One stream of a clip, with what `tsn.data.dataset` needs of a `ShardSet`."""

    def __init__(self, clip: Clip, stream: str):
        self._clip, self.stream = clip, stream
        self.extra_frames = 0 if stream == "rgb" else clip.streams.step

    def usable(self, _: str) -> bool:
        """A clip that is decoded is usable."""
        return True

    def number(self, _: str) -> int:
        """There is one video."""
        return 0

    def length_at(self, _: int) -> int:
        """Number of frames or flow fields of the video; a short one has one field."""
        return max(self._clip.length - self.extra_frames, 1)

    def size_at(self, _: int) -> Size:
        """(width, height) of its frames in pixels."""
        height, width = next(iter(self._clip.frames.values())).shape[:2]
        return width, height

    def read_at(self, _: int, indices: Iterable[int]) -> np.ndarray:
        """See `Clip.read`."""
        return self._clip.read(self.stream, indices)


class StoredClip:
    """A video of shards, with what is asked of a `Clip` that is decoded.

    Args:
        shards: by stream; not empty.
        video: its id.
    """

    def __init__(self, shards: Mapping[str, ShardSet], video: str):
        self._shards, self.id = shards, video
        first = next(iter(shards.values()))
        self.length = first.length(video) + first.extra_frames

    def stream(self, name: str) -> ShardSet:
        """One of its streams."""
        return self._shards[name]


def _check_equal(one: dict, other: dict, modality: str) -> None:
    if one != other:
        key = differing_key(one, other)
        raise UserError(
            f"the models of this run were tested on {STREAM_OF[modality]} with {key} = "
            f"{one.get(key)!r} and {other.get(key)!r}; test them again"
        )


_OF_SHARDS = ("size", "short_side", "bound")
"""What a shard's fingerprint has beside that of the engine."""


def _check_engine(fingerprint: dict, ours: dict, stream: str) -> None:
    theirs = {key: value for key, value in fingerprint.items() if key not in _OF_SHARDS}
    if ours != theirs:
        key = differing_key(theirs, ours)
        raise UserError(
            f"the {stream} model was trained on flow with {key} = {theirs.get(key)!r}, "
            f"and here it is {ours.get(key)!r}; use the version that made it, or train it again"
        )
