"""TV-L1 optical flow of clips and of pairs of frames, by whichever engine is there.

>>> flow = TVL1()(frames)          # (T, H, W) grey frames -> (T-1, 2, H, W), x then y, px
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from tsn.errors import UserError
from tsn.flow.engine import Engine
from tsn.flow.params import TVL1Params

if TYPE_CHECKING:
    import torch

BACKENDS = ("auto", "native", "opencv", "opencv_cuda")
"""Names that a backend can be asked for by."""

_DEFAULTS = TVL1Params()


def resolve_backend(name: str) -> str:
    """Return the backend that a name stands for on this machine.

    Args:
        name: One of `BACKENDS`; "auto" is "opencv_cuda" where that can run, else "native".

    Raises:
        UserError: The name is unknown, or the backend cannot run here.
    """
    if name not in BACKENDS:
        raise UserError(f"TV-L1 backend {name!r} is unknown: use one of {', '.join(BACKENDS)}")
    if name in ("auto", "opencv_cuda"):
        from tsn.flow.opencv_cuda import why_unavailable

        reason = why_unavailable()
        if name == "auto":
            return "native" if reason else "opencv_cuda"
        if reason:
            raise UserError(
                f"TV-L1 backend opencv_cuda cannot run: {reason}; use backend native or opencv"
            )
    return name


def _create_engine(backend: str, params: TVL1Params, threads: int) -> Engine:
    if backend == "native":
        from tsn.flow.native.engine import NativeEngine

        return NativeEngine(params, threads)
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
        threads: Pairs computed at the same time.

    Attributes:
        params: Parameters of the method.
        backend: The backend in use, never "auto".

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
        """What determines the flow: algorithm, parameters, backend, implementation, version."""
        return {
            "algorithm": "tvl1",
            **self.params.as_dict(),
            "backend": self.backend,
            "implementation": self._engine.implementation,
            "version": self._engine.version,
        }

    def __call__(self, frames: "np.ndarray | torch.Tensor") -> "np.ndarray | torch.Tensor":
        """Compute the flow between neighbouring frames.

        Args:
            frames: Grey frames (T, H, W), T >= 1, uint8 or float on the 0..255 scale; a NumPy
                array or a torch tensor on the CPU.

        Returns:
            float32 (T-1, 2, H, W), of the same kind as the input: at [t] the motion from frame t
            to frame t+1 in px, x (rightwards) then y (downwards).

        Raises:
            ValueError: Wrong type, shape or value; the message tells which.
        """
        checked = _check_frames("frames", frames)
        if len(checked) < 2:
            return _like(frames, np.empty((0, 2, *checked.shape[1:]), np.float32))
        return _like(frames, self._engine.sequence(checked))

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
        first, second = _check_frames("prev", prev), _check_frames("next", next)
        if first.shape != second.shape:
            raise ValueError(
                f"prev and next must have the same shape, not {first.shape} and {second.shape}"
            )
        if first.dtype != second.dtype:
            raise ValueError(
                f"prev and next must have the same type, not {first.dtype} and {second.dtype}"
            )
        start = None if initial is None else _check_flow("initial", initial, first.shape)
        return _like(prev, self._engine.pairs(first, second, start))


def _as_numpy(name: str, value: Any) -> np.ndarray:
    if hasattr(value, "detach"):
        if value.device.type != "cpu":
            raise ValueError(f"{name} lies on {value.device}: move it to the CPU first")
        if str(value.dtype) == "torch.bfloat16":
            # The one floating type that NumPy lacks.
            value = value.float()
        value = value.detach().numpy()
    if not isinstance(value, np.ndarray):
        raise ValueError(
            f"{name} must be a NumPy array or a torch tensor, not {type(value).__name__}"
        )
    return value


def _like(model: Any, result: np.ndarray) -> Any:
    """Return the result as a tensor if the model is one."""
    if not hasattr(model, "detach"):
        return result
    import torch

    return torch.from_numpy(result)


def _check_frames(name: str, value: Any) -> np.ndarray:
    """Return frames as C-contiguous uint8 or float32 (N, H, W)."""
    frames = _as_numpy(name, value)
    if frames.ndim != 3:
        raise ValueError(
            f"{name} must have 3 dimensions (frames, height, width), not shape {frames.shape}"
        )
    if 0 in frames.shape:
        raise ValueError(f"{name} must not be empty, but has shape {frames.shape}")
    if frames.dtype == np.uint8:
        return np.ascontiguousarray(frames)
    return _check_floats(name, frames)


def _check_flow(name: str, value: Any, frames: tuple[int, int, int]) -> np.ndarray:
    """Return a flow as C-contiguous float32 (N, 2, H, W) for frames of shape (N, H, W)."""
    flow = _as_numpy(name, value)
    expected = (frames[0], 2, *frames[1:])
    if flow.shape != expected:
        raise ValueError(f"{name} must have shape {expected}, not {flow.shape}")
    return _check_floats(name, flow)


def _check_floats(name: str, values: np.ndarray) -> np.ndarray:
    if not np.issubdtype(values.dtype, np.floating):
        raise ValueError(f"{name} must be uint8 or floating point, not {values.dtype}")
    # Values that float32 cannot hold become inf, which is refused below.
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinite values: replace them first")
    return values
