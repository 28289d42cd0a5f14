"""Device memory for frames of one size, and the kernels that run on it."""

import ctypes
import itertools
import math
from dataclasses import dataclass
from typing import Protocol

import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.pyramid import Resize, level_sizes
from tsn.flow.cuda import arguments
from tsn.flow.cuda.arguments import Axis, Plane
from tsn.flow.cuda.source import MARGIN, SHAPES, STEPS

_BLOCK = (32, 8)
"""Threads of the kernels that have one for each pixel."""

_LINE = 32
"""Rows of planes start at multiples of this many float32: whole 128-byte lines of memory."""

_TILES_AHEAD = 4
"""Tiles of pairs in work, per block: enough for no block to wait, and few enough for the pairs'
state to stay in the L2 cache."""


class Launcher(Protocol):
    """Runs kernels in order on one device.

    Attributes:
        device: Where.
        blocks: Blocks of `solve` that run at a time.
    """

    device: torch.device
    blocks: int

    def launch(
        self,
        kernel: str,
        arguments: ctypes.Structure,
        grid: tuple[int, int, int],
        block: tuple[int, int],
    ) -> None:
        """Put a kernel behind those launched before it."""


class Workspace:
    """Device memory for up to `frames` frames of one size, and TV-L1 on their pairs.

    Call `load` with the frames, then `solve`.

    Args:
        launcher: Runs the kernels.
        height: Of the frames.
        width: Of the frames.
        params: Parameters of the method.
        frames: How many there is room for.
    """

    def __init__(
        self, launcher: Launcher, height: int, width: int, params: TVL1Params, frames: int
    ) -> None:
        self._launcher, self._params = launcher, params
        self.size, self.frames = (height, width), frames
        self._components = 3 if params.gamma else 2
        self._shape = SHAPES[self._components]
        sizes = level_sizes(height, width, params.pyramid_levels, params.scale_step)
        self._tiles = [self._shape.tiles(*size) for size in sizes]
        self._most_tiles = max(across * down for across, down in self._tiles)
        slots = min(frames - 1, -(-_TILES_AHEAD * launcher.blocks // self._most_tiles))
        self._levels = [_Level(self, *size, slots) for size in sizes]
        pairs = list(itertools.pairwise(sizes))
        centred = params.variant == "opencv"
        self._border = 0 if centred else MARGIN  # BORDER of the source
        self._shrink = [
            self._axes(Resize.between(a, b, 1 / params.scale_step, centred)) for a, b in pairs
        ]
        self._grow = [self._axes(Resize.between(b, a, centred=centred)) for a, b in pairs]
        self._errors = self._zeros(slots * self._most_tiles * STEPS)
        self._ring = self._zeros(2 * slots * self._most_tiles, dtype=torch.int64)
        parts = (slots * _ints(arguments.Slot), _ints(arguments.Queue), frames)
        self._counters = self._zeros(sum(parts), dtype=torch.int32)
        self._slots, self._queue, self._clipped = self._counters.split(parts)
        self._slot_count = slots

    def load(self, frames: torch.Tensor, at: int = 0) -> None:
        """Build the pyramids of frames (N, H, W), uint8 or float32 on the device, contiguous.

        The frames are numbered from `at`.
        """
        count, (finest, *_) = len(frames), self._levels
        load = arguments.Load(
            frames.data_ptr(),
            finest.grey[at:].data_ptr(),
            finest.plane,
            frames.dtype == torch.float32,
        )
        self._per_pixel("load", load, finest, count)
        for level, coarser, axes in zip(self._levels, self._levels[1:], self._shrink, strict=False):
            resize = arguments.Resize(
                level.grey[at:].data_ptr(),
                coarser.grey[at:].data_ptr(),
                level.plane,
                coarser.plane,
                *axes.pair,
            )
            self._per_pixel("resize", resize, coarser, count)
        for level in self._levels:
            pack = arguments.Pack(
                level.grey[at:].data_ptr(), level.packed[at:].data_ptr(), level.plane
            )
            self._per_pixel("pack", pack, level, count, self._border)

    def solve(
        self,
        flow: torch.Tensor,
        apart: int,
        bound: float = 0.0,
    ) -> torch.Tensor:
        """Compute the flow of pairs of the frames loaded last.

        Args:
            flow: Gets it: float32 (pairs, 2, H, W) on the device, contiguous; or uint8, quantised.
            apart: Pair n is from frame n to frame n + apart.
            bound: Of the quantisation, in px.

        Returns:
            int32 (pairs,) on the device, until the next call: flow values beyond the bound.
        """
        params, pairs = self._params, len(flow)
        self._ring.zero_()
        self._counters.zero_()
        solve = arguments.Solve(
            levels=self._level_arguments(),
            slots=self._slots.data_ptr(),
            queue=self._queue.data_ptr(),
            ring=self._ring.data_ptr(),
            errors=self._errors.data_ptr(),
            flow=flow.data_ptr(),
            clipped=self._clipped.data_ptr(),
            finest=len(self._levels) - 1,
            slot_count=min(self._slot_count, pairs),
            pairs=pairs,
            capacity=len(self._ring),
            most_tiles=self._most_tiles,
            apart=apart,
            warps=params.warps,
            rounds=params.outer_iterations if params.median_filter > 1 else 1,
            iterations=params.inner_iterations if params.median_filter > 1 else params.iterations,
            median=params.median_filter > 1,
            step=params.lambda_ * params.theta,
            theta=params.theta,
            taut=params.tau / params.theta,
            gamma=params.gamma,
            growth=1 / params.scale_step,
            bound=bound,
            scale=127.5 / bound if bound else 0.0,
        )
        self._launcher.launch(
            "solve", solve, (self._launcher.blocks, 1, 1), (32, self._shape.warps)
        )
        return self._clipped[:pairs]

    def work(self) -> dict[str, float]:
        """What the last call of `solve` cost, for benchmarks.

        Returns:
            "useful": fraction of the iterations of pixels that the result is made of; the others
            are of halos, beside the frame, or taken back. "bytes": read and written for each of
            these, were all tiles whole and within the frame. "iterations": of frames of full
            size, for a pair.
        """
        queue = arguments.Queue.from_buffer_copy(self._queue.cpu().numpy().tobytes())
        width, height = 64, self._shape.warps * self._shape.rows
        moved = 4 * (6 * self._components + 3) * width * height
        return {
            "useful": queue.pixel_steps / (queue.tile_steps * width * height),
            "bytes": queue.tiles * moved / queue.pixel_steps,
            "iterations": queue.pixel_steps / (queue.done * math.prod(self.size)),
        }

    def _level_arguments(self) -> ctypes.Array:
        """The levels as `solve` knows them, the coarsest first."""
        levels = [
            arguments.Level(
                level.plane,
                across,
                across * down,
                level.grey.data_ptr(),
                level.packed.data_ptr(),
                level.state.data_ptr(),
                level.data.data_ptr(),
                *(axes.pair if axes else (Axis(), Axis())),
                self._params.epsilon**2 * level.plane.height * level.plane.width,
            )
            for level, axes, (across, down) in zip(
                self._levels, [*self._grow, None], self._tiles, strict=True
            )
        ]
        return (arguments.Level * arguments.MOST_LEVELS)(*reversed(levels))

    def _axes(self, resize: Resize) -> "_Axes":
        tables = [
            torch.as_tensor(table, dtype=torch.int32 if k < 2 else torch.float32)
            for axis in (resize.rows, resize.columns)
            for k, table in enumerate(axis)
        ]
        tables = [table.to(self._launcher.device) for table in tables]
        pointers = [table.data_ptr() for table in tables]
        return _Axes((Axis(*pointers[:3]), Axis(*pointers[3:])), tables)

    def _per_pixel(
        self, kernel: str, given: ctypes.Structure, level: "_Level", count: int, border: int = 0
    ) -> None:
        """Launch a kernel with a thread for each pixel of the level, and of a border around it."""
        width, height = level.plane.width + 2 * border, level.plane.height + 2 * border
        across, down = -(-width // _BLOCK[0]), -(-height // _BLOCK[1])
        self._launcher.launch(kernel, given, (across, down, count), _BLOCK)

    def _zeros(self, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(*shape, dtype=dtype, device=self._launcher.device)


def _ints(structure: type[ctypes.Structure]) -> int:
    return ctypes.sizeof(structure) // ctypes.sizeof(ctypes.c_int)


@dataclass(frozen=True)
class _Axes:
    """Tables of a linear resize on the device; `pair` has the axis of the rows first."""

    pair: tuple[Axis, Axis]
    tables: list[torch.Tensor]


class _Level:
    """The planes of one pyramid level."""

    def __init__(self, workspace: Workspace, height: int, width: int, slots: int) -> None:
        stride = width + -width % _LINE
        frames, zeros = workspace.frames, workspace._zeros
        self.plane = Plane(height, width, stride)
        # What lies beside a plane's image, and around a packed frame, is never written to.
        self.state = zeros(slots, 2, 3 * workspace._components, height, stride)
        self.data = zeros(slots, 3, height, stride)
        self.grey = zeros(frames, height, stride)
        self.packed = zeros(frames, height + 2 * MARGIN, width + 2 * MARGIN, 4)
