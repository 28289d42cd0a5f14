"""Flow of whole videos, some pairs at a time, so that memory does not grow with their length."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from tsn.flow.build import CHUNK, overlapping_chunks
from tsn.flow.estimator import FlowEstimator
from tsn.flow.overlay import find_overlay
from tsn.flow.quantise import BOUND
from tsn.flow.warped import WarpedFlow
from tsn.runtime.progress import Advance
from tsn.video.decode import ANY_LENGTH, to_grey
from tsn.video.isolation import read_frames
from tsn.video.naming import WRITABLE

MAX_PIXELS = 1 << 24
"""Pixels of the pairs computed at a time: their flow and warped flow take 0.3 GB."""


@dataclass(frozen=True)
class Options:
    """How flow is computed and drawn.

    Attributes:
        estimator: computes it.
        threads: pairs that `estimator` computes at a time.
        warped: whether warped flow is wanted too.
        size: width and height in px that frames are resized to; None for each video's own.
        bound: motion in px at which quantised flow is clipped.
        max_magnitude: motion in px of full colour; None fits it to each video.
        naming: what JPEGs of flow are called, a name of `tsn.video.naming.WRITABLE`.
    """

    estimator: FlowEstimator
    threads: int = 1
    warped: bool = False
    size: tuple[int, int] | None = None
    bound: float = BOUND
    max_magnitude: float | None = None
    naming: str = WRITABLE[0]


@dataclass(frozen=True)
class FlowChunk:
    """Consecutive pairs of a video.

    Attributes:
        frames: uint8 (pairs + step, H, W, 3) RGB: the first of each pair, then what is left.
        flow: float32 (pairs, 2, H, W) in px.
        warped_flow: like `flow`, or None where it is not wanted.
    """

    frames: np.ndarray
    flow: np.ndarray
    warped_flow: np.ndarray | None


def _read(
    video: str, options: Options, colour: Literal["rgb", "grey"] = "rgb"
) -> Iterator[np.ndarray]:
    return read_frames(video, options.size, colour, max_frames=ANY_LENGTH)


def flow_chunks(video: str, options: Options, advance: Advance) -> Iterator[FlowChunk]:
    """Yield a video's pairs in order, many at a time; `advance` is called after each chunk's use.

    Raises:
        VideoError: the video is bad; possibly after some chunks.
    """
    frames = _read(video, options)
    first = next(frames)
    fitting = min(CHUNK, MAX_PIXELS // first[..., 0].size)
    warped_flow = WarpedFlow(options.estimator, options.threads) if options.warped else None
    overlay = find_overlay(_read(video, options, "grey")) if options.warped else None
    pairs, step = max(fitting, options.threads), options.estimator.step
    for stack in overlapping_chunks(chain([first], frames), pairs, step):
        grey = np.stack([to_grey(frame) for frame in stack])
        flow = options.estimator(grey)
        yield FlowChunk(stack, flow, warped_flow(grey, flow, overlay) if warped_flow else None)
        advance(len(flow))


def sample_pairs(video: str, options: Options, count: int) -> FlowChunk:
    """Compute up to `count` pairs spread evenly over a video, and none of the others.

    Raises:
        VideoError: the video is bad.
    """
    length = sum(1 for _ in _read(video, options))
    step = options.estimator.step_in(length)
    pairs = length - step
    wanted = sorted(set(np.linspace(0, pairs - 1, min(count, pairs)).round().astype(int).tolist()))
    either = {t for pair in wanted for t in (pair, pair + step)}
    kept = {t: frame for t, frame in enumerate(_read(video, options)) if t in either}
    first, second = (np.stack([to_grey(kept[p + after]) for p in wanted]) for after in (0, step))
    flow = options.estimator.pairs(first, second)
    warped = None
    if options.warped:
        warped_flow = WarpedFlow(options.estimator, options.threads)
        overlay = find_overlay(_read(video, options, "grey"))
        numbers = np.arange(len(wanted))
        frames = np.concatenate([first, second])
        warped = warped_flow(frames, flow, overlay, pairs=(numbers, numbers + len(wanted)))
    return FlowChunk(np.stack([kept[t] for t in (*wanted, wanted[-1] + step)]), flow, warped)
