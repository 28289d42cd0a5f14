"""TV-L1 optical flow of clips and of pairs of frames, by whichever engine is there.

>>> flow = TVL1()(frames)          # (T, H, W) grey frames -> (T-1, 2, H, W), x then y, px
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.checks import check_flow, check_frames, is_tensor, like
from tsn.flow.engine import Engine
from tsn.flow.quantise import BOUND, clipped_share, quantise
from tsn.runtime.errors import UserError

if TYPE_CHECKING:
    import torch

BACKENDS = ("auto", "native", "native_cpu", "native_cuda", "opencv", "opencv_cuda")
"""Names that a backend can be asked for by."""

GPU_BACKENDS = ("native_cuda", "opencv_cuda")
"""Those that run on a GPU."""

_DEFAULTS = TVL1Params()


def resolve_backend(name: str) -> str:
    """Return the backend that a name stands for on this machine.

    Args:
        name: One of `BACKENDS`. "native" is "native_cuda" where that can run, else "native_cpu";
            "auto" is "opencv_cuda" where that can run, else what "native" is.

    Raises:
        UserError: The name is unknown, or the backend cannot run here.
    """
    if name not in BACKENDS:
        raise UserError(f"TV-L1 backend {name!r} is unknown: use one of {', '.join(BACKENDS)}")
    if name == "auto":
        name = "native" if _why_unavailable("opencv_cuda") else "opencv_cuda"
    if name == "native":
        return "native_cpu" if _why_unavailable("native_cuda") else "native_cuda"
    if reason := _why_unavailable(name):
        raise UserError(
            f"TV-L1 backend {name} cannot run: {reason}; use backend native_cpu or opencv"
        )
    return name


def _why_unavailable(backend: str) -> str | None:
    if backend == "native_cuda":
        from tsn.flow.cuda.available import why_unavailable

        return why_unavailable()
    if backend == "opencv_cuda":
        from tsn.flow.opencv_cuda import why_unavailable

        return why_unavailable()
    return None


def _create_engine(backend: str, params: TVL1Params, threads: int) -> Engine:
    if backend == "native_cpu":
        from tsn.flow.cpu.cpu_engine import NativeEngine

        return NativeEngine(params, threads)
    if backend == "native_cuda":
        from tsn.flow.cuda.cuda_engine import CudaEngine

        return CudaEngine(params)
    if backend == "opencv":
        from tsn.flow.opencv import OpenCVEngine

        return OpenCVEngine(params, threads)
    from tsn.flow.opencv_cuda import OpenCVCudaEngine

    return OpenCVCudaEngine(params, threads)


class TVL1:
    """Computes TV-L1 flow (Zach, Pock, Bischof 2007).

    The flow of a pair depends on its two frames and the parameters only, not on the number of
    threads or on the other pairs of a call. Identical frames have exactly zero flow.

    Args:
        params: Parameters of the method.
        backend: One of `BACKENDS`.
        threads: Pairs computed at the same time; native_cuda fills the GPU whatever it is.

    Attributes:
        params: Parameters of the method.
        backend: The backend in use, never "auto" or "native".

    Raises:
        UserError: The backend is unknown or cannot run here, or threads is below 1.
    """

    def __init__(
        self, params: TVL1Params = _DEFAULTS, backend: str = "auto", threads: int = 1
    ) -> None:
        if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
            raise UserError(f"TV-L1 needs a whole number of threads from 1 up, not {threads!r}")
        self.params = params
        self.backend = resolve_backend(backend)
        self._engine = _create_engine(self.backend, params, threads)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What determines the flow: algorithm, parameters, backend, implementation, version.

        The native engine is one backend here: CPU and GPU give the same flow to a mean of 1e-3 px.
        """
        return {
            "algorithm": "tvl1",
            **self.params.as_dict(),
            "backend": "native" if self.backend.startswith("native") else self.backend,
            "implementation": self._engine.implementation,
            "version": self._engine.version,
        }

    def __call__(self, frames: "np.ndarray | torch.Tensor") -> "np.ndarray | torch.Tensor":
        """Compute the flow between neighbouring frames.

        Args:
            frames: Grey frames (T, H, W), T >= 1, uint8 or float on the 0..255 scale; a NumPy
                array or a torch tensor, for native_cuda on the GPU or on the CPU.

        Returns:
            float32 (T-1, 2, H, W), of the same kind and in the same place as the input: at [t] the
            motion from frame t to frame t+1 in px, x (rightwards) then y (downwards).

        Raises:
            ValueError: Wrong type, shape or value; the message tells which.
        """
        checked = self._check_frames("frames", frames)
        if len(checked) < 2:
            return self._nothing(frames, "float32")
        return like(frames, self._engine.sequence(checked))

    def quantised(
        self, frames: "np.ndarray | torch.Tensor", bound: float = BOUND
    ) -> "tuple[np.ndarray | torch.Tensor, float]":
        """Compute the flow between neighbouring frames as bytes.

        Args:
            frames: As for a call.
            bound: Motion in px that is cut off.

        Returns:
            uint8 (T-1, 2, H, W), of the same kind and in the same place as the input, as
            `tsn.flow.quantise.quantise` makes it; and the share (0..1) of values that are cut off.

        Raises:
            ValueError: Wrong type, shape or value; the message tells which.
        """
        checked = self._check_frames("frames", frames)
        if len(checked) < 2:
            return self._nothing(frames, "uint8"), 0.0
        if self.backend == "native_cuda":
            data, clipped = self._engine.quantised(checked, bound)
        else:
            flow = self._engine.sequence(checked)
            data, clipped = quantise(flow, bound), clipped_share(flow, bound)
        return like(frames, data), clipped

    def pairs(
        self,
        prev: "np.ndarray | torch.Tensor",
        next: "np.ndarray | torch.Tensor",
        initial: "np.ndarray | torch.Tensor | None" = None,
    ) -> "np.ndarray | torch.Tensor":
        """Compute the flow of pairs of frames.

        Args:
            prev: Grey frames (N, H, W), uint8 or float on the 0..255 scale; a NumPy array or a
                torch tensor on the CPU.
            next: The frames to find the motion to; same shape and type.
            initial: Flow (N, 2, H, W) in px to start from, instead of zero.

        Returns:
            float32 (N, 2, H, W), of the same kind as `prev`: the motion from prev[n] to next[n]
            in px, x then y.

        Raises:
            ValueError: Wrong type, shape or value; the message tells which.
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
        start = None
        if initial is not None:
            start = check_flow("initial", initial, tuple(first.shape), self._takes_gpu_tensors)
        return like(prev, self._engine.pairs(first, second, start))

    @property
    def _takes_gpu_tensors(self) -> bool:
        return self.backend == "native_cuda"

    def _check_frames(self, name: str, frames: "np.ndarray | torch.Tensor"):
        return check_frames(name, frames, self._takes_gpu_tensors)

    def _nothing(self, frames: "np.ndarray | torch.Tensor", kind: str):
        """No flow, for a clip of one frame, where and of the kind that the frames are."""
        shape = (0, 2, *frames.shape[1:])
        if not is_tensor(frames):
            return np.empty(shape, kind)
        import torch

        return torch.empty(shape, dtype=getattr(torch, kind), device=frames.device)
