"""The native TV-L1 engine on a GPU: the method of `tsn.flow.cpu`, many pairs at a time.

The host never synchronises in between: convergence is checked on the GPU. Two
streams alternate, so that copies of one overlap with kernels of the other.
"""

import threading
from collections import deque
from collections.abc import Callable

import numpy as np
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cpu.cpu_engine import VERSION
from tsn.flow.cuda.arguments import MOST_LEVELS
from tsn.flow.cuda.lane import Frames, Lane
from tsn.flow.cuda.workspace import Launcher
from tsn.runtime.errors import UserError

BATCH = 256
"""Pairs of 340x256 that a lane computes at a time: most clips of UCF101 are one batch."""

_BATCH_PIXELS = BATCH * 340 * 256

_LANES = 2

_MOST_PAIRS = 32767
"""Of a batch, which may have two frames each: a launch has 65,535 blocks along z (CUDA's limit)."""


def _in_own_modes(method: Callable) -> Callable:
    """Make tensors that can be used again whatever mode (inference, gradients) a caller is in."""
    return torch.inference_mode(False)(torch.no_grad()(method))


class CudaEngine:
    """TV-L1 on a GPU; see `tsn.flow.engine.Engine` for its interface.

    Frames may lie on the GPU as well, as torch tensors; their flow stays there then. Threads may
    call it at the same time.

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
        if params.pyramid_levels > MOST_LEVELS:
            raise UserError(
                f"TV-L1 backend native_cuda: pyramid_levels must be at most {MOST_LEVELS}, not "
                f"{params.pyramid_levels}; lower it, or use backend native_cpu"
            )
        self._batch = batch
        launcher = launcher or _launcher_of_this_gpu(3 if params.gamma else 2, params.variant)
        self._free = [Lane(launcher, params) for _ in range(_LANES)]
        self._freed = threading.Condition()
        self._fitting: dict[tuple[int, int], int] = {}

    @_in_own_modes
    def sequence(self, frames: Frames) -> Frames:
        """Return the flow (T-1, 2, H, W) between neighbours of frames (T, H, W)."""
        out = self._like(frames, len(frames) - 1, "float32")
        self._run(frames, None, out)
        return out

    @_in_own_modes
    def pairs(self, first: Frames, second: Frames) -> Frames:
        """Return the flow (N, 2, H, W) from first to second (N, H, W)."""
        out = self._like(first, len(first), "float32")
        self._run(first, second, out)
        return out

    @_in_own_modes
    def quantised(self, frames: Frames, bound: float, step: int = 1) -> tuple[Frames, float]:
        """Return the flow between frames `step` apart as uint8, and the clipped fraction.

        The bytes are those that `tsn.flow.quantise.quantise` makes of the same flow.
        """
        out = self._like(frames, len(frames) - step, "uint8")
        clipped = np.zeros(len(out), np.int64)
        # Neighbours share their frames, which are loaded once.
        first, second = (frames, None) if step == 1 else (frames[:-step], frames[step:])
        self._run(first, second, out, clipped, bound)
        return out, float(clipped.sum()) / (len(out) * 2 * frames.shape[1] * frames.shape[2])

    def _run(
        self,
        first: Frames,
        second: Frames | None,
        out: Frames,
        clipped: np.ndarray | None = None,
        bound: float = 0.0,
    ) -> None:
        """Compute pairs of first and second, or, without second, of neighbours of first."""
        size = (int(first.shape[1]), int(first.shape[2]))
        begun: deque[Lane] = deque()
        begin = 0
        try:
            while begin < len(out):
                end = min(begin + self._pairs_of(size), len(out))
                part = slice(begin, end)
                begun.append(self._take_lane(begun))
                try:
                    begun[-1].start(
                        [first[begin : end + 1]] if second is None else [first[part], second[part]],
                        1 if second is None else end - begin,
                        out[part],
                        None if clipped is None else clipped[part],
                        bound,
                    )
                except RuntimeError as error:
                    if not _is_out_of_memory(error):
                        raise
                    self._take_less(size, end - begin, begun)
                else:
                    begin = end
            for lane in begun:
                lane.finish()
        finally:
            with self._freed:
                self._free += begun
                self._freed.notify_all()

    def _pairs_of(self, size: tuple[int, int]) -> int:
        """Most pairs of a batch of frames of a size (H, W)."""
        wanted = self._batch or max(1, _BATCH_PIXELS // (size[0] * size[1]))
        return min(wanted, self._fitting.get(size, _MOST_PAIRS))

    def _take_lane(self, begun: deque[Lane]) -> Lane:
        """A free lane, or the first of the call's own, as soon as it has finished."""
        with self._freed:
            while not self._free and not begun:
                self._freed.wait()
            if self._free:
                return self._free.pop()
        lane = begun.popleft()
        lane.finish()
        return lane

    def _take_less(self, size: tuple[int, int], pairs: int, begun: deque[Lane]) -> None:
        """After a batch of `pairs` did not fit the GPU: free what can be, and halve the batch.

        Raises:
            UserError: It was a single pair.
        """
        failed = begun.pop()
        for lane in begun:
            lane.finish()
        with self._freed:
            for lane in (failed, *begun, *self._free):
                lane.clear()
            self._free.append(failed)
            self._freed.notify_all()
        torch.cuda.empty_cache()
        if pairs == 1:
            raise UserError(
                "TV-L1 backend native_cuda: the GPU has not enough free memory for frames of "
                f"{size[1]}x{size[0]}; make them smaller, free it, or use backend native_cpu"
            )
        self._fitting[size] = pairs // 2

    def _like(self, frames: Frames, count: int, kind: str) -> Frames:
        shape = (count, 2, *frames.shape[1:])
        if isinstance(frames, torch.Tensor):
            return torch.empty(shape, dtype=getattr(torch, kind), device=frames.device)
        return np.empty(shape, kind)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether memory was lacking: torch's own, pinned memory, or the driver's."""
    message = str(error).lower().replace("_", " ")
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in message


def _launcher_of_this_gpu(components: int, variant: str) -> Launcher:
    try:
        from tsn.flow.cuda.compile import Launcher as OnGpu

        device = torch.device("cuda", torch.cuda.current_device())
        torch.zeros(1, device=device).add_(1)  # fails where torch has no code for this GPU
        return OnGpu(device, components, variant)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"TV-L1 backend native_cuda: the GPU cannot be used ({reason}); update its driver, "
            "install a torch built for it, or use backend native_cpu"
        ) from error
