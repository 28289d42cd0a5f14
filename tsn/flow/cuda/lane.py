"""A CUDA stream with its own device memory and pinned host buffers."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cuda.workspace import Launcher, Workspace

Frames = np.ndarray | torch.Tensor


class Lane:
    """Computes batches of pairs one after the other; memory is kept for the next of their size.

    Args:
        launcher: Runs the kernels.
        params: Parameters of the method.
    """

    def __init__(self, launcher: Launcher, params: TVL1Params) -> None:
        self._launcher, self._params, self._device = launcher, params, launcher.device
        self._on_gpu = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if self._on_gpu else None
        self._workspace: Workspace | None = None
        self._buffers: dict[tuple, torch.Tensor] = {}
        self._deliver: Callable[[], None] | None = None

    def start(
        self,
        stacks: Sequence[Frames],
        apart: int,
        out: Frames,
        clipped: np.ndarray | None = None,
        bound: float = 0.0,
    ) -> None:
        """Begin a batch; the one before must be finished.

        Args:
            stacks: Frames (N, H, W), uint8 or float32, numbered through all stacks.
            apart: Pair n is from frame n to frame n + apart.
            out: Gets the flow (pairs, 2, H, W), float32, or uint8 of a quantisation.
            clipped: int64 (pairs,), gets how many values are beyond the bound, or None.
            bound: Of the quantisation, in px.

        Raises:
            torch.OutOfMemoryError: There is not enough memory on the device.
        """
        if self._stream is not None:
            # What lies on the GPU already may still be computed there.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with self._running():
            workspace = self._workspace_for(tuple(out.shape[2:]), sum(map(len, stacks)))
            at = 0
            for k, stack in enumerate(stacks):
                workspace.load(self._to_device(f"frames {k}", stack), at)
                at += len(stack)
            if isinstance(out, torch.Tensor) and out.device == self._device:
                flow = out
            else:
                flow = self._buffer("flow", out, self._device)
            beyond = workspace.solve(flow, apart, bound)
            self._fetch(flow, out, beyond, clipped)

    def finish(self) -> None:
        """Wait for the batch in work, if there is one, and hand its results over."""
        if self._deliver:
            deliver, self._deliver = self._deliver, None
            deliver()

    def clear(self) -> None:
        """Free all memory."""
        self._workspace = None
        self._buffers.clear()

    def _workspace_for(self, size: tuple[int, int], frames: int) -> Workspace:
        """The last batch's, where it has the size (H, W) and room for the frames."""
        kept = self._workspace
        if kept is None or kept.size != size or kept.frames < frames:
            self.clear()  # before the new one takes memory
            kept = self._workspace = Workspace(self._launcher, *size, self._params, frames)
        return kept

    def _fetch(
        self,
        flow: torch.Tensor,
        out: Frames,
        beyond: torch.Tensor,
        clipped: np.ndarray | None,
    ) -> None:
        """Send the results to the host, for `finish` to put where they belong."""
        arrivals: list[tuple[Any, torch.Tensor]] = []
        if flow is not out:
            arrivals.append((out, self._to_host("flow", flow)))
        if clipped is not None:
            arrivals.append((clipped, self._to_host("clipped", beyond)))
        done = torch.cuda.Event(blocking=True) if self._on_gpu else None
        if done:
            done.record()

        def deliver() -> None:
            if done:
                # Also where nothing arrives: the next batch overwrites what this one was made of.
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
        kept = self._buffers.get(key)
        if kept is None or len(kept) < len(like):
            pinned = self._on_gpu and device.type == "cpu"
            kept = torch.empty(tuple(like.shape), dtype=kind, device=device, pin_memory=pinned)
            self._buffers[key] = kept
        return kept[: len(like)]
