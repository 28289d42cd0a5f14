"""Optical flow of clips and of pairs of frames, whatever algorithm computes it."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from tsn.flow.checks import as_type_of, check_frames, is_tensor
from tsn.flow.engine import Engine, QuantisingEngine
from tsn.flow.quantise import BOUND, check_bound, clipped_fraction, quantise

if TYPE_CHECKING:
    from tsn.flow.checks import Array


class FlowEstimator(ABC):
    """Computes optical flow.

    The flow of a pair depends on its two frames and the algorithm's parameters only, not on the
    number of threads or on the other pairs of a call.

    Args:
        engine: Computes the flow of validated frames.
        takes_gpu_tensors: Whether the engine takes tensors that lie on a GPU.

    Attributes:
        step: Frames from the first to the second of a pair.
    """

    step = 1

    def __init__(self, engine: Engine, takes_gpu_tensors: bool = False) -> None:
        self._engine = engine
        self._takes_gpu_tensors = takes_gpu_tensors

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What determines the flow: algorithm, parameters, implementation, version and step."""
        return self._made_by() | ({"step": self.step} if self.step > 1 else {})

    @abstractmethod
    def _made_by(self) -> dict[str, Any]:
        """The fingerprint without the step."""

    def step_in(self, count: int) -> int:
        """The step in a clip of `count` frames: a short one has one pair, its first and last."""
        return max(1, min(self.step, count - 1))

    def __call__(self, frames: "Array") -> Any:
        """Compute the flow between frames that lie `step` apart, by default neighbours.

        Args:
            frames: Grey frames (T, H, W), T >= 1, uint8 or float on the 0..255 scale; a NumPy
                array or a torch tensor, for native_cuda on the GPU or on the CPU.

        Returns:
            float32 (T-s, 2, H, W), s = step_in(T), of the same type and on the same device as the
            input: at [t] the motion from frame t to frame t+s in px, x (rightwards) then y
            (downwards).

        Raises:
            ValueError: Wrong type, shape or value; the message names it.
        """
        checked = self._check_frames("frames", frames)
        if len(checked) < 2:
            return _empty_flow(frames, "float32")
        return as_type_of(frames, self._flow(checked))

    def _flow(self, frames: "Array") -> Any:
        step = self.step_in(len(frames))
        if step == 1:
            return self._engine.sequence(frames)
        return self._engine.pairs(frames[:-step], frames[step:])

    def quantised(self, frames: "Array", bound: float = BOUND) -> tuple[Any, float]:
        """Compute the flow of a call as bytes.

        Args:
            frames: As for a call.
            bound: Motion in px beyond which flow is clipped.

        Returns:
            uint8 (T-s, 2, H, W), of the same type and on the same device as the input, as
            `tsn.flow.quantise.quantise` makes it; and the fraction (0..1) of clipped values.

        Raises:
            ValueError: Wrong type, shape or value; the message names it.
        """
        check_bound(bound)
        checked = self._check_frames("frames", frames)
        if len(checked) < 2:
            return _empty_flow(frames, "uint8"), 0.0
        if isinstance(self._engine, QuantisingEngine):
            data, clipped = self._engine.quantised(checked, bound, self.step_in(len(checked)))
        else:
            flow = self._flow(checked)
            data, clipped = quantise(flow, bound), clipped_fraction(flow, bound)
        return as_type_of(frames, data), clipped

    def pairs(self, prev: "Array", next: "Array") -> Any:
        """Compute the flow of pairs of frames.

        Args:
            prev: Grey frames (N, H, W), uint8 or float on the 0..255 scale; a NumPy array or a
                torch tensor.
            next: The frames to find the motion to; same shape and type.

        Returns:
            float32 (N, 2, H, W), of the same type as `prev`: the motion from prev[n] to next[n]
            in px, x then y.

        Raises:
            ValueError: Wrong type, shape or value; the message names it.
        """
        first, second = self._check_frames("prev", prev), self._check_frames("next", next)
        if first.shape != second.shape:
            raise ValueError(
                f"prev and next must have the same shape, not {tuple(first.shape)} and "
                f"{tuple(second.shape)}"
            )
        if first.dtype != second.dtype:
            raise ValueError(
                f"prev and next must have the same type, not {first.dtype} and {second.dtype}"
            )
        return as_type_of(prev, self._engine.pairs(first, second))

    def _check_frames(self, name: str, frames: "Array") -> Any:
        return check_frames(name, frames, self._takes_gpu_tensors)


def _empty_flow(frames: "Array", kind: str) -> Any:
    """Flow of a clip of one frame: no pairs; of the type and on the device of the frames."""
    shape = (0, 2, *frames.shape[1:])
    if not is_tensor(frames):
        return np.empty(shape, kind)
    import torch

    return torch.empty(shape, dtype=getattr(torch, kind), device=frames.device)
