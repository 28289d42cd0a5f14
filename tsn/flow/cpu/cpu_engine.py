"""The native TV-L1 engine: OpenCV's method in compiled loops, one pair of frames a thread.

The method is TV-L1 (Zach, Pock, Bischof 2007) the way `cv2.optflow` or `cv2.cuda` computes it; see
`solver`, `warp` and `pyramid` for its parts. What is compiled in one of these files calls nothing
compiled in another: Numba's cache notices a change in a function's own file only.
"""

from pathlib import Path

import cv2
import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.pyramid import Resize, level_sizes
from tsn.flow.cpu.solver import MAX_BLOCK, PAD, iterate
from tsn.flow.cpu.warp import MARGIN, cubic, pack, repeat_edges, warp
from tsn.flow.engine import Workers
from tsn.runtime.caches import compiling

VERSION = "1"
"""Raised whenever a change to the engine changes its numbers."""

_CHUNK = 8
"""Consecutive pairs that one task computes; a task builds one pyramid more than it has pairs."""


class NativeEngine:
    """TV-L1 in compiled loops; see `tsn.flow.engine.Engine` for its interface.

    Args:
        params: Parameters of the method.
        threads: Pairs computed at the same time.
    """

    implementation = "tsn"
    version = VERSION

    def __init__(self, params: TVL1Params, threads: int) -> None:
        self._params = params
        self._workers = Workers(threads, _CHUNK)
        with compiling(Path(__file__).parents[1]):
            self.sequence(np.zeros((2, 64, 64), np.uint8))

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W)."""
        out = np.empty((len(frames) - 1, 2, *frames.shape[1:]), np.float32)

        def work(begin: int, end: int) -> None:
            space = self._workspace(frames.shape[1:])
            space.load(begin % 2, frames[begin])
            for t in range(begin, end):
                # Frame t is the second of one pair and the first of the next.
                space.load((t + 1) % 2, frames[t + 1])
                space.flow(t % 2, (t + 1) % 2, out[t])

        self._workers.run(len(out), work)
        return out

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the flow (N, 2, H, W) from first to second (N, H, W)."""
        out = np.empty((len(first), 2, *first.shape[1:]), np.float32)

        def work(begin: int, end: int) -> None:
            space = self._workspace(first.shape[1:])
            for n in range(begin, end):
                space.load(0, first[n])
                space.load(1, second[n])
                space.flow(0, 1, out[n])

        self._workers.run(len(out), work)
        return out

    def _workspace(self, size: tuple[int, int]) -> "_Workspace":
        return self._workers.state(size, lambda: _Workspace(*size, self._params))


class _Frame:
    """One frame's pyramid: grey levels, and those with their gradients for warping."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self.grey = [np.empty(size, np.float32) for size in sizes]
        margin = 2 * MARGIN
        self.packed = [np.zeros((h + margin, w + margin, 4), np.float32) for h, w in sizes]

    def load(self, frame: np.ndarray, shrink: list[Resize], repeat: bool) -> None:
        """Build the pyramid of a frame (H, W); outside it is what its edges have, or zero."""
        self.grey[0][...] = frame
        for resize, source, target in zip(shrink, self.grey, self.grey[1:], strict=False):
            resize(source, target)
        for grey, packed in zip(self.grey, self.packed, strict=True):
            pack(grey, packed)
            if repeat:
                repeat_edges(packed)


def _planes(count: int, rows: int, stride: int) -> list[np.ndarray]:
    """Allocate zeroed float32 planes (rows, stride) for the solver.

    Rows start on cache lines, and the planes start at different offsets within a 4 KiB page:
    rows of a dozen planes are read side by side, and planes at the same offset would evict each
    other from the first-level cache (measured: 1.7 times slower).
    """
    stagger = 5 * PAD
    size = rows * stride + -(rows * stride) % 1024 + stagger
    buffer = np.zeros(count * size + PAD, np.float32)
    start = -(buffer.ctypes.data // buffer.itemsize) % PAD
    return [
        buffer[start + k * size : start + k * size + rows * stride].reshape(rows, stride)
        for k in range(count)
    ]


class _Workspace:
    """All buffers that one thread needs for frames of one size, allocated once."""

    def __init__(self, height: int, width: int, params: TVL1Params) -> None:
        self.params = params
        self.sizes = level_sizes(height, width, params.pyramid_levels, params.scale_step)
        steps = list(zip(self.sizes, self.sizes[1:], strict=False))
        centred = params.variant == "opencv"
        self.shrink = [Resize.between(a, b, 1 / params.scale_step, centred) for a, b in steps]
        self.grow = [Resize.between(b, a, centred=centred) for a, b in steps]
        self.frames = (_Frame(self.sizes), _Frame(self.sizes))
        self.levels = [_Level(h, w, params) for h, w in self.sizes]

    def load(self, slot: int, frame: np.ndarray) -> None:
        """Build the pyramid of a frame (H, W) in one of the two slots."""
        self.frames[slot].load(frame, self.shrink, self.params.variant == "opencv_cuda")

    def flow(self, first: int, second: int, out: np.ndarray) -> None:
        """Write the flow (2, H, W) between the frames in two slots into `out`."""
        for plane in self.levels[-1].primal:
            plane[...] = 0
        for s in reversed(range(len(self.levels))):
            level = self.levels[s]
            level.solve(self.frames[first].grey[s], self.frames[second].packed[s])
            if s:
                for k, (source, target) in enumerate(
                    zip(level.primal, self.levels[s - 1].primal, strict=True)
                ):
                    # The illumination change is no displacement: it is not rescaled.
                    self.grow[s - 1](source, target, 1 / self.params.scale_step if k < 2 else 1.0)
        height, width = self.sizes[0]
        for k in range(2):
            out[k] = self.levels[0].primal[k][:height, :width]


class _Level:
    """The planes of one pyramid level."""

    def __init__(self, height: int, width: int, params: TVL1Params) -> None:
        self.height, self.width, self.params = height, width, params
        self.sparse = params.variant == "opencv_cuda"
        self.cubic = cubic(-0.5 if self.sparse else -0.75)
        stride = width + PAD + -width % PAD
        with_illumination = params.gamma != 0
        planes = iter(_planes(15, height + 1, stride))
        self.primal = [next(planes) for _ in range(3 if with_illumination else 2)]
        self.dual = tuple(next(planes) for _ in range(4))
        self.illumination = (
            (self.primal[2], next(planes), next(planes)) if with_illumination else (None,) * 3
        )
        self.data = tuple(next(planes) for _ in range(4))
        self.filtered = next(planes)
        self.constants = tuple(
            np.float32(value)
            for value in (
                params.lambda_ * params.theta,
                params.theta,
                params.tau / params.theta,
                params.gamma,
            )
        )
        self.errors = np.empty((MAX_BLOCK, stride), np.float32)
        self.starts = np.empty(width, np.int32)
        self.weights = np.empty((8, width), np.float32)
        self.line = np.empty(4 * width, np.float32)

    def solve(self, first: np.ndarray, packed: np.ndarray) -> None:
        """Improve the flow of this level, in place."""
        params = self.params
        for plane in self.dual + self.illumination[1:]:
            if plane is not None:
                plane[...] = 0
        threshold = params.epsilon**2 * self.height * self.width
        rounds, most = params.outer_iterations, params.inner_iterations
        if self.sparse:
            rounds, most = 1, params.iterations
        for _ in range(params.warps):
            self._warp(first, packed)
            for _ in range(rounds):
                if params.median_filter > 1:
                    self._filter()
                if self._iterate(threshold, most) <= threshold:
                    break

    def _warp(self, first: np.ndarray, packed: np.ndarray) -> None:
        u1, u2 = self.primal[:2]
        gx, gy, inverse, rho = self.data
        buffers = self.starts, self.weights, self.line
        warp(first, packed, self.cubic, u1, u2, gx, gy, inverse, rho, *buffers)

    def _filter(self) -> None:
        inside = np.s_[: self.height, : self.width]
        for k in range(2):
            cv2.medianBlur(self.primal[k][inside], 5, dst=self.filtered[inside])
            self.primal[k], self.filtered = self.filtered, self.primal[k]

    def _iterate(self, threshold: float, most: int) -> float:
        return iterate(
            self.height,
            self.width,
            tuple(self.primal[:2]),
            self.dual,
            self.illumination,
            self.data,
            self.errors,
            self.constants,
            threshold,
            most,
            self.sparse,
        )
