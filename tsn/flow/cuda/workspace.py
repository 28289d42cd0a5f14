"""What the kernels work on for frames of one size, allocated once, and the order they run in."""

import ctypes
import itertools
from dataclasses import dataclass
from typing import Protocol

import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.pyramid import Resize, level_sizes
from tsn.flow.cuda import arguments
from tsn.flow.cuda.arguments import Axis, Plane
from tsn.flow.cuda.source import MARGIN, STEPS, TILE, WARPS

_BLOCK = (32, 8)
"""Threads of the kernels that have one for each pixel."""

_LINE = 32
"""Rows of planes start at multiples of this many float32: whole 128-byte lines of memory."""


class Launcher(Protocol):
    """Runs kernels in order on one device."""

    device: torch.device

    def launch(
        self,
        kernel: str,
        arguments: ctypes.Structure,
        grid: tuple[int, int, int],
        block: tuple[int, int],
    ) -> None:
        """Put a kernel behind those launched before it."""


def bytes_per_pair(height: int, width: int, params: TVL1Params) -> int:
    """Device memory in bytes that a workspace takes for each pair it holds."""
    state, data, frames = 2 * 3 * (3 if params.gamma else 2), 3, 2 * (1 + 4)
    values = state + data + frames
    return sum(4 * values * h * (w + _LINE) for h, w in _sizes(height, width, params))


def _sizes(height: int, width: int, params: TVL1Params) -> list[tuple[int, int]]:
    return level_sizes(height, width, params.pyramid_levels, params.scale_step)


class Workspace:
    """Device memory for up to `pairs` pairs, and TV-L1 on them.

    Call `load` with the frames, `solve`, then `store`.
    """

    def __init__(
        self, launcher: Launcher, height: int, width: int, params: TVL1Params, pairs: int
    ) -> None:
        self._launcher, self._params, self.pairs = launcher, params, pairs
        self._components = 3 if params.gamma else 2
        self._control = torch.zeros(pairs, 4, dtype=torch.int32, device=launcher.device)
        sizes = _sizes(height, width, params)
        blocks = max(width_ * height_ for width_, height_ in map(self._tiles, sizes))
        self._errors = torch.empty(pairs * blocks * STEPS, device=launcher.device)
        self._levels = [_Level(self, *size) for size in sizes]
        step = params.scale_step
        neighbours = list(itertools.pairwise(sizes))
        self._shrink = [self._axes(Resize.between(a, b, 1 / step)) for a, b in neighbours]
        self._grow = [self._axes(Resize.between(b, a)) for a, b in neighbours]

    def load(self, frames: torch.Tensor, at: int = 0) -> None:
        """Build the pyramids of frames (N, H, W), uint8 or float32 on the device, contiguous.

        The frames are numbered from `at`; there is room for twice as many as pairs.
        """
        count, (finest, *_) = len(frames), self._levels
        first = arguments.Load(
            frames.data_ptr(),
            finest.grey[at:].data_ptr(),
            finest.plane,
            frames.dtype == torch.float32,
        )
        self._per_pixel("load", first, finest, count)
        for level, coarser, axes in zip(self._levels, self._levels[1:], self._shrink, strict=False):
            shrink = self._resize(level.grey[at:], coarser.grey[at:], level, coarser, axes, (1.0,))
            self._per_pixel("resize", shrink, coarser, count)
        for level in self._levels:
            pack = arguments.Pack(
                level.grey[at:].data_ptr(), level.packed[at:].data_ptr(), level.plane
            )
            self._per_pixel("pack", pack, level, count)

    def solve(self, count: int, apart: int, initial: torch.Tensor | None = None) -> None:
        """Compute the flow of `count` pairs.

        Args:
            count: Pairs; pair n is from frame n to frame n + apart.
            apart: Distance of a pair's frames.
            initial: Flow (count, 2, H, W) on the device to start from, instead of zero.
        """
        self._start(count, initial)
        for s in reversed(range(len(self._levels))):
            level = self._levels[s]
            level.state[:count, 0, self._components :].zero_()
            self._control.zero_()
            for _ in range(self._params.warps):
                self._warp(level, count, apart)
            if s:
                self._grow_flow(level, self._levels[s - 1], self._grow[s - 1], count)

    def store(self, flow: torch.Tensor, bound: float = 0.0) -> None:
        """Write the flow of the pairs solved last.

        Args:
            flow: float32 (N, 2, H, W) on the device, contiguous; or uint8, to be quantised.
            bound: Of the quantisation, in px.
        """
        scale = 127.5 / bound if bound else 0.0
        finest = self._levels[0]
        store = arguments.Store(
            finest.state.data_ptr(),
            self._control.data_ptr(),
            flow.data_ptr(),
            finest.plane,
            bound,
            scale,
        )
        self._per_pixel("store", store, finest, len(flow))

    @property
    def clipped(self) -> torch.Tensor:
        """int32 (pairs,): flow values beyond the bound, after `store` with one."""
        return self._control[:, 3]

    def _start(self, count: int, initial: torch.Tensor | None) -> None:
        """Put the initial flow, or zero, on the coarsest level."""
        self._levels[-1].state[:count, 0, : self._components].zero_()
        if initial is None:
            return
        finest, step = self._levels[0], self._params.scale_step
        finest.state[:count, 0, :2, :, : finest.plane.width] = initial
        for level, coarser, axes in zip(self._levels, self._levels[1:], self._shrink, strict=False):
            shrink = self._resize(level.state, coarser.state, level, coarser, axes, (step, step))
            self._per_pixel("resize", shrink, coarser, count)

    def _warp(self, level: "_Level", count: int, apart: int) -> None:
        """Warp the second frames by the flow and iterate until it stands still."""
        params = self._params
        warp = arguments.Warp(
            level.grey.data_ptr(),
            level.packed[apart:].data_ptr(),
            level.state.data_ptr(),
            level.data.data_ptr(),
            self._control.data_ptr(),
            level.plane,
        )
        self._per_pixel("warp", warp, level, count)
        if params.median_filter == 1:
            self._iterate(level, count, params.iterations)
            return
        for _ in range(params.outer_iterations):
            self._per_pixel("median", level.median, level, count)
            self._iterate(level, count, params.inner_iterations)

    def _iterate(self, level: "_Level", count: int, iterations: int) -> None:
        grid = (*self._tiles((level.plane.height, level.plane.width)), count)
        for done in range(0, iterations, STEPS):
            steps = min(STEPS, iterations - done)
            self._launcher.launch("iterate", level.iterate[steps], grid, (32, WARPS))
        self._launcher.launch("iterate", level.iterate[0], grid, (32, WARPS))

    def _grow_flow(self, level: "_Level", finer: "_Level", axes, count: int) -> None:
        # The illumination change is no displacement: it does not grow.
        up = 1 / self._params.scale_step
        factors = (up, up, 1.0)[: self._components]
        grow = self._resize(level.state, finer.state, level, finer, axes, factors)
        grow.control = self._control.data_ptr()
        self._per_pixel("resize", grow, finer, count)

    def _resize(
        self,
        source: torch.Tensor,
        target: torch.Tensor,
        from_: "_Level",
        to: "_Level",
        axes: "_Axes",
        factors: tuple[float, ...],
    ) -> arguments.Resize:
        return arguments.Resize(
            source.data_ptr(),
            target.data_ptr(),
            from_.plane,
            to.plane,
            source.stride(0),
            target.stride(0),
            axes.rows,
            axes.columns,
            None,
            len(factors),
            factors,
        )

    def _axes(self, resize: Resize) -> "_Axes":
        tables = [
            torch.as_tensor(table, dtype=torch.int32 if k < 2 else torch.float32)
            for axis in (resize.rows, resize.columns)
            for k, table in enumerate(axis)
        ]
        tables = [table.to(self._launcher.device) for table in tables]
        pointers = [table.data_ptr() for table in tables]
        return _Axes(Axis(*pointers[:3]), Axis(*pointers[3:]), tables)

    def _tiles(self, size: tuple[int, int]) -> tuple[int, int]:
        """Blocks of `iterate` across and down a level (height, width)."""
        return -(-size[1] // TILE[0]), -(-size[0] // TILE[1][self._components])

    def _per_pixel(self, kernel: str, given: ctypes.Structure, level: "_Level", count: int) -> None:
        across, down = -(-level.plane.width // _BLOCK[0]), -(-level.plane.height // _BLOCK[1])
        self._launcher.launch(kernel, given, (across, down, count), _BLOCK)


@dataclass(frozen=True)
class _Axes:
    """Tables of a linear resize on the device."""

    rows: Axis
    columns: Axis
    tables: list[torch.Tensor]


class _Level:
    """The planes of one pyramid level."""

    def __init__(self, workspace: Workspace, height: int, width: int) -> None:
        params, components = workspace._params, workspace._components
        stride = width + -width % _LINE
        self.plane = Plane(height, width, stride)

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(*shape, device=workspace._launcher.device)

        # What lies beside a plane's image, and around a packed frame, is never written to.
        self.state = zeros(workspace.pairs, 2, 3 * components, height, stride)
        self.data = zeros(workspace.pairs, 3, height, stride)
        self.grey = zeros(2 * workspace.pairs, height, stride)
        self.packed = zeros(2 * workspace.pairs, height + 2 * MARGIN, width + 2 * MARGIN, 4)
        control = workspace._control.data_ptr()
        self.median = arguments.Median(self.state.data_ptr(), control, self.plane)
        self.iterate = [
            arguments.Iterate(
                self.state.data_ptr(),
                self.data.data_ptr(),
                control,
                workspace._errors.data_ptr(),
                self.plane,
                steps,
                params.lambda_ * params.theta,
                params.theta,
                params.tau / params.theta,
                params.gamma,
                params.epsilon**2 * height * width,
            )
            for steps in range(STEPS + 1)
        ]
