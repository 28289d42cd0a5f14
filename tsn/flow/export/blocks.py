"""Flow of whole videos, computed some pairs at a time: memory depends on the size of the frames,
not on the length of the videos.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np

from tsn.flow.build import CHUNK, overlapping_chunks
from tsn.flow.quantise import BOUND
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.runtime.progress import Advance
from tsn.video.decode import to_grey
from tsn.video.isolation import read_frames

MOST_PIXELS = 1 << 24
"""Pixels of the pairs computed at a time: their flow and warped flow take 0.3 GB."""


@dataclass(frozen=True)
class Options:
    """How flow is computed and shown.

    Attributes:
        tvl1: computes it.
        threads: pairs that `tvl1` computes at a time.
        warped: whether warped flow is wanted too.
        size: width and height in px that frames are resized to; None for each video's own.
        bound: motion in px that a shard's bytes reach to.
        max_magnitude: motion in px of full colour; None fits it to each video.
    """

    tvl1: TVL1
    threads: int = 1
    warped: bool = False
    size: tuple[int, int] | None = None
    bound: float = BOUND
    max_magnitude: float | None = None


@dataclass(frozen=True)
class Block:
    """Some pairs of a video.

    Attributes:
        frames: uint8 (pairs + 1, H, W, 3) RGB: the first of each pair, then the last's second.
        flow: float32 (pairs, 2, H, W) in px.
        warped_flow: like `flow`, or None where it is not wanted.
    """

    frames: np.ndarray
    flow: np.ndarray
    warped_flow: np.ndarray | None


def blocks(video: str, options: Options, advance: Advance) -> Iterator[Block]:
    """Yield a video's pairs in order, many at a time; `advance` is called after each block's use.

    Raises:
        VideoError: the video is bad; possibly after some blocks.
    """
    frames = read_frames(video, options.size, "rgb")
    first = next(frames)
    fitting = min(CHUNK, MOST_PIXELS // first[..., 0].size)
    undo = WarpedFlow(options.tvl1, options.threads) if options.warped else None
    for chunk in overlapping_chunks(chain([first], frames), max(fitting, options.threads)):
        grey = np.stack([to_grey(frame) for frame in chunk])
        flow = options.tvl1(grey)
        warped = undo(grey, flow) if undo else None
        yield Block(chunk, flow, warped)
        advance(len(flow))


def sample(video: str, options: Options, count: int) -> Block:
    """Compute up to `count` pairs spread evenly over a video, and none of the others.

    Raises:
        VideoError: the video is bad.
    """
    pairs = sum(1 for _ in read_frames(video, options.size)) - 1
    wanted = sorted(set(np.linspace(0, pairs - 1, min(count, pairs)).round().astype(int).tolist()))
    either = {t for pair in wanted for t in (pair, pair + 1)}
    kept = {t: frame for t, frame in enumerate(read_frames(video, options.size)) if t in either}
    first, second = (np.stack([to_grey(kept[pair + after]) for pair in wanted]) for after in (0, 1))
    flow = options.tvl1.pairs(first, second)
    warped = None
    if options.warped:
        undo = WarpedFlow(options.tvl1, options.threads)
        each = zip(first, second, flow, strict=True)
        warped = np.concatenate([undo(np.stack([a, b]), motion[None]) for a, b, motion in each])
    return Block(np.stack([kept[t] for t in (*wanted, wanted[-1] + 1)]), flow, warped)
