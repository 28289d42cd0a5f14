"""The native TV-L1 engine on a GPU: the method of `tsn.flow.cpu`, many pairs at a time.

Nothing is asked of the GPU while it works: it finds out by itself which pairs have converged, and
kernels return at once for those. Two lanes take turns, so that frames and flow of one travel
while the other computes.
"""

import itertools
import threading

import numpy as np
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.cpu_engine import VERSION
from tsn.flow.cuda.lane import Frames, Lane
from tsn.flow.cuda.workspace import Launcher, bytes_per_pair
from tsn.runtime.errors import UserError

BATCH = 128
"""Pairs of 340x256 that a lane computes at a time."""

_BATCH_PIXELS = BATCH * 340 * 256

_LANES = 2

_MOST_FRAMES = 65535
"""In a lane, of which there are two a pair: a launch has no more blocks along z (CUDA's limit)."""

_MEMORY_SHARE = 0.6
"""Of the free device memory, for all lanes together."""


class CudaEngine:
    """TV-L1 on a GPU; see `tsn.flow.engine.Engine` for its interface.

    Frames may lie on the GPU as well, as torch tensors; their flow stays there then. Calls from
    several threads wait for each other.

    Args:
        params: Parameters of the method.
        launcher: Runs the kernels; None for the current GPU.
        batch: Most pairs computed at a time; None for as many as suit the size of the frames. The
            flow does not depend on it.
    """

    implementation = "tsn"
    version = VERSION

    def __init__(
        self, params: TVL1Params, launcher: Launcher | None = None, batch: int | None = None
    ) -> None:
        self._params, self._batch = params, batch
        self._launcher = launcher or _launcher_of_this_gpu(3 if params.gamma else 2)
        self._size: tuple[int, int] | None = None
        self._lanes: list[Lane] = []
        self._pairs = self._most = 0
        self._one_at_a_time = threading.Lock()

    def sequence(self, frames: Frames) -> Frames:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W)."""
        out = self._like(frames, len(frames) - 1, "float32")
        self._run(frames, None, None, out)
        return out

    def pairs(self, first: Frames, second: Frames, initial: Frames | None = None) -> Frames:
        """Return the flow (N, 2, H, W) from first to second (N, H, W)."""
        out = self._like(first, len(first), "float32")
        self._run(first, second, initial, out)
        return out

    def quantised(self, frames: Frames, bound: float) -> tuple[Frames, float]:
        """Return the flow between neighbours as bytes, uint8 (T-1, 2, H, W), and the clipped share.

        The bytes are those that `tsn.flow.quantise.quantise` makes of the same flow.
        """
        out = self._like(frames, len(frames) - 1, "uint8")
        clipped = np.zeros(len(out), np.int64)
        self._run(frames, None, None, out, clipped, bound)
        return out, float(clipped.sum()) / (len(out) * 2 * frames.shape[1] * frames.shape[2])

    def _run(
        self,
        first: Frames,
        second: Frames | None,
        initial: Frames | None,
        out: Frames,
        clipped: np.ndarray | None = None,
        bound: float = 0.0,
    ) -> None:
        """Compute pairs of first and second, or, without second, of neighbours of first."""
        with self._one_at_a_time:
            lanes = itertools.cycle(self._lanes_for(tuple(first.shape[1:]), len(out)))
            for begin in range(0, len(out), self._pairs):
                end = min(begin + self._pairs, len(out))
                part = slice(begin, end)
                stacks = [first[begin : end + 1]] if second is None else [first[part], second[part]]
                next(lanes).start(
                    stacks,
                    1 if second is None else end - begin,
                    None if initial is None else initial[part],
                    out[part],
                    None if clipped is None else clipped[part],
                    bound,
                )
            for lane in self._lanes:
                lane.finish()

    def _lanes_for(self, size: tuple[int, int], wanted: int) -> list[Lane]:
        """Lanes for frames of a size (H, W); those of the last call where they fit."""
        if size != self._size or self._pairs < min(wanted, self._most):
            self._lanes.clear()  # before the new ones take memory
            if size != self._size:
                self._most = self._most_pairs(size)
            self._size, self._pairs = size, min(wanted, self._most)
            try:
                self._lanes += [
                    Lane(self._launcher, size, self._params, self._pairs) for _ in range(_LANES)
                ]
            except torch.OutOfMemoryError:
                self._size = None
                raise UserError(
                    "TV-L1 backend native_cuda: the GPU has not enough free memory for frames of "
                    f"{size[1]}x{size[0]}; make them smaller, free it, or use backend native_cpu"
                ) from None
        return self._lanes

    def _most_pairs(self, size: tuple[int, int]) -> int:
        if self._batch:
            return self._batch
        pairs = max(1, _BATCH_PIXELS // (size[0] * size[1]))
        if self._launcher.device.type == "cuda":
            torch.cuda.empty_cache()
            free = torch.cuda.mem_get_info(self._launcher.device)[0]
            fitting = int(_MEMORY_SHARE * free / _LANES / bytes_per_pair(*size, self._params))
            pairs = max(1, min(pairs, fitting))
        return min(pairs, _MOST_FRAMES // 2)

    def _like(self, frames: Frames, count: int, kind: str) -> Frames:
        shape = (count, 2, *frames.shape[1:])
        if isinstance(frames, torch.Tensor):
            return torch.empty(shape, dtype=getattr(torch, kind), device=frames.device)
        return np.empty(shape, kind)


def _launcher_of_this_gpu(components: int) -> Launcher:
    from tsn.flow.cuda.compile import Launcher as OnGpu

    return OnGpu(torch.device("cuda", torch.cuda.current_device()), components)
