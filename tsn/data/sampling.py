"""Snippet sampling: which frames of a video a network sees. K segments, one snippet from each.

All functions count starts from 0 and take the number of `frames` (for flow: of flow fields), the
snippet `length` and the number of `segments`; they return `segments` starts. A video with fewer
frames than a snippet has the one start 0, and its last frame is repeated (`snippet_indices`).
"""

import numpy as np

from tsn.models.modality import SNIPPET_LENGTH

LONGEST = SNIPPET_LENGTH + 1
"""Frames that snippets of all modalities take: six frames have five flow fields between them."""


def starts_available(frames: int, length: int) -> int:
    """How many snippets of `length` frames fit: at least one."""
    return max(frames - length + 1, 1)


def train_starts(frames: int, length: int, segments: int, rng: np.random.Generator) -> np.ndarray:
    """A uniform random start in each of `segments` equal parts (tsn-pytorch's rule).

    With n starts and d = n // segments: start i is i*d + randint(d). Where d = 0 but the video has
    more frames than segments, the starts are random and sorted; in still shorter videos all are 0.

    Examples:
        >>> train_starts(10, 1, 5, np.random.default_rng(0)) // 2
        array([0, 1, 2, 3, 4])
    """
    available = starts_available(frames, length)
    stride = available // segments
    if stride > 0:
        return np.arange(segments) * stride + rng.integers(stride, size=segments)
    if frames > segments:
        return np.sort(rng.integers(available, size=segments))
    return np.zeros(segments, dtype=np.int64)


def centre_starts(frames: int, length: int, segments: int) -> np.ndarray:
    """The middle of each segment: int(t/2 + t*i), t = n/segments (tsn-pytorch).

    Examples:
        >>> centre_starts(100, 1, 4)
        array([12, 37, 62, 87])
    """
    tick = starts_available(frames, length) / segments
    return (tick / 2 + tick * np.arange(segments)).astype(np.int64)


def caffe_starts(frames: int, length: int, segments: int) -> np.ndarray:
    """The test snippets of the authors' Caffe release.

    They start at the first frame and are (frames - length) // (segments - 1) apart, which may leave
    the tail of a video unseen; kept for comparison with the release's figures.

    Examples:
        >>> caffe_starts(100, 1, 4)
        array([ 0, 33, 66, 99])
    """
    step = max(frames - length, 0) // max(segments - 1, 1)
    return np.arange(segments) * step


def dense_starts(frames: int, rate: float, stride: float) -> np.ndarray:
    """One start every `stride` seconds while the longest snippet of the usual length fits, so that
    those of all modalities lie at the same times; 0 alone in a video that is shorter than that.

    Args:
        frames: of the video, also where the snippets are of flow.
        rate: frames per second.
        stride: in seconds.

    Examples:
        >>> dense_starts(100, 29.97, 1)
        array([ 0, 30, 60, 90])
    """
    latest = max(frames - LONGEST, 0)
    count = int(latest / max(stride * rate, 1)) + 2
    starts = np.array([dense_start(number, rate, stride) for number in range(count)])
    return starts[starts <= latest]


def dense_start(number: int, rate: float, stride: float) -> int:
    """The first frame of a snippet; at least a frame lies between two of them."""
    return round(number * max(stride * rate, 1))


SNIPPET_SAMPLING = {"segment_centres": centre_starts, "caffe": caffe_starts}


def snippet_indices(start: int, length: int, frames: int) -> np.ndarray:
    """The frame numbers of one snippet; past the end of the video its last frame is repeated.

    Examples:
        >>> snippet_indices(2, 5, 4)
        array([2, 3, 3, 3, 3])
    """
    return np.minimum(np.arange(start, start + length), frames - 1)
