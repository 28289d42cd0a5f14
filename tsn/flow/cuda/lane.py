"""One of the lanes of the GPU engine: a stream with memory of its own, on both sides of the bus."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cuda.workspace import Launcher, Workspace

Frames = np.ndarray | torch.Tensor


class Lane:
    """Computes batches of pairs in the order in which they are given.

    Args:
        launcher: Runs the kernels.
        size: Height and width of the frames.
        params: Parameters of the method.
        pairs: Most pairs of a batch.
    """

    def __init__(
        self, launcher: Launcher, size: tuple[int, int], params: TVL1Params, pairs: int
    ) -> None:
        self._device = launcher.device
        self._on_gpu = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if self._on_gpu else None
        with self._running():
            self._workspace = Workspace(launcher, *size, params, pairs)
        self._size = size
        self._staged: dict[tuple, torch.Tensor] = {}
        self._deliver: Callable[[], None] | None = None

    def start(
        self,
        stacks: Sequence[Frames],
        apart: int,
        initial: Frames | None,
        out: Frames,
        clipped: np.ndarray | None = None,
        bound: float = 0.0,
    ) -> None:
        """Begin a batch; the one before it is finished first.

        Args:
            stacks: Frames (N, H, W), uint8 or float32, numbered through all stacks.
            apart: Pair n is from frame n to frame n + apart.
            initial: Flow (pairs, 2, H, W) to start from, or None.
            out: Gets the flow (pairs, 2, H, W), float32, or uint8 of a quantisation.
            clipped: int64 (pairs,), gets how many values are beyond the bound, or None.
            bound: Of the quantisation, in px.
        """
        self.finish()
        if self._on_gpu:
            # What lies on the GPU already may still be computed there.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with self._running():
            at = 0
            for k, stack in enumerate(stacks):
                self._workspace.load(self._to_device(f"frames {k}", stack), at)
                at += len(stack)
            start = None if initial is None else self._to_device("initial", initial)
            self._workspace.solve(len(out), apart, start)
            direct = isinstance(out, torch.Tensor) and out.device == self._device
            flow = out if direct else self._buffer("flow", out, self._device)
            self._workspace.store(flow, bound)
            self._fetch(flow, out, direct, clipped)

    def finish(self) -> None:
        """Wait for the batch in work, if there is one, and hand its results over."""
        if self._deliver:
            deliver, self._deliver = self._deliver, None
            deliver()

    def _fetch(
        self, flow: torch.Tensor, out: Frames, direct: bool, clipped: np.ndarray | None
    ) -> None:
        """Send the results to the host, for `finish` to put where they belong."""
        arrivals = []
        if not direct:
            arrivals.append((out, self._to_host("flow", flow)))
        if clipped is not None:
            arrivals.append(
                (clipped, self._to_host("clipped", self._workspace.clipped[: len(out)]))
            )
        done = torch.cuda.Event() if self._on_gpu else None
        if done:
            done.record()

        def deliver() -> None:
            if done and direct:
                torch.cuda.current_stream(self._device).wait_event(done)
            if done and arrivals:
                done.synchronize()
            for target, arrived in arrivals:
                target[...] = arrived if isinstance(target, torch.Tensor) else arrived.numpy()

        self._deliver = deliver

    def _running(self) -> AbstractContextManager:
        return torch.cuda.stream(self._stream) if self._on_gpu else nullcontext()

    def _to_device(self, what: str, values: Frames) -> torch.Tensor:
        """Values on the device, contiguous; by way of memory that the GPU itself fetches from."""
        if isinstance(values, torch.Tensor) and values.device == self._device:
            return values.contiguous()
        if not self._on_gpu:
            return torch.as_tensor(values)
        staged = self._buffer(what, values, torch.device("cpu"))
        staged.copy_(torch.as_tensor(values))
        target = self._buffer(what, values, self._device)
        return target.copy_(staged, non_blocking=True)

    def _to_host(self, what: str, values: torch.Tensor) -> torch.Tensor:
        if not self._on_gpu:
            return values.clone()
        return self._buffer(what, values, torch.device("cpu")).copy_(values, non_blocking=True)

    def _buffer(self, what: str, like: Frames, device: torch.device) -> torch.Tensor:
        """Memory of a shape and type, the same at every call; pinned if on the host."""
        kind = torch.as_tensor(like[:0]).dtype
        key = (what, device, kind)
        kept = self._staged.get(key)
        if kept is None or len(kept) < len(like):
            pinned = self._on_gpu and device.type == "cpu"
            kept = torch.empty(tuple(like.shape), dtype=kind, device=device, pin_memory=pinned)
            self._staged[key] = kept
        return kept[: len(like)]
