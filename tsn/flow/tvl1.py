"""TV-L1 optical flow of clips and of pairs of frames, by whichever engine can run.

Examples:
    >>> flow = TVL1()(frames)          # (T, H, W) grey frames -> (T-1, 2, H, W), x then y, px
"""

import logging
from dataclasses import replace
from functools import cache
from typing import Any

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.engine import Engine
from tsn.flow.estimator import FlowEstimator
from tsn.runtime.errors import UserError

BACKENDS = ("auto", "native", "native_cpu", "native_cuda", "opencv", "opencv_cuda")
"""Names that a backend can be asked for by."""

GPU_BACKENDS = ("native_cuda", "opencv_cuda")
"""Those that run on a GPU."""

_DEFAULTS = TVL1Params()

logger = logging.getLogger("tsn")


def resolve_backend(name: str, variant: str = "opencv") -> str:
    """Return the backend that a name stands for on this machine.

    Args:
        name: One of `BACKENDS`. "native" is "native_cuda" where that can run, else "native_cpu";
            "auto" is "opencv_cuda" where that can run and is the variant, else what "native" is.
        variant: Whose answers are wanted, see `TVL1Params`.

    Raises:
        UserError: The name is unknown, or the backend cannot run here or is another variant.
    """
    if name not in BACKENDS:
        raise UserError(f"TV-L1 backend {name!r} is unknown: use one of {', '.join(BACKENDS)}")
    if name == "opencv" and variant == "opencv_cuda":
        raise UserError(
            "TV-L1 backend opencv cannot compute the variant opencv_cuda; use backend native"
        )
    if name == "auto":
        fits = variant == "opencv_cuda" and not _why_unavailable("opencv_cuda")
        name = "opencv_cuda" if fits else "native"
    if name == "native":
        reason = _why_unavailable("native_cuda")
        if reason:
            _warn_of_unused_gpu(reason)
        return "native_cpu" if reason else "native_cuda"
    if reason := _why_unavailable(name):
        raise UserError(
            f"TV-L1 backend {name} cannot run: {reason}; use backend native_cpu or opencv"
        )
    return name


@cache
def _warn_of_unused_gpu(reason: str) -> None:
    """Say once that flow is computed on the CPU beside a GPU."""
    from tsn.runtime import cuda

    if cuda.gpu_is_there():
        logger.warning("TV-L1 runs on the CPU, the GPU cannot be used: %s", reason)


def _why_unavailable(backend: str) -> str | None:
    if backend == "native_cuda":
        from tsn.runtime import cuda

        return cuda.why_unavailable()
    if backend == "opencv_cuda":
        from tsn.flow import opencv_cuda

        return opencv_cuda.why_unavailable()
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


class TVL1(FlowEstimator):
    """Computes TV-L1 flow (Zach, Pock, Bischof 2007).

    Identical frames have exactly zero flow.

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
        self.backend = resolve_backend(backend, params.variant)
        engine = self._create_engine(backend, params, threads)
        super().__init__(engine, self.backend == "native_cuda")

    def _create_engine(self, asked: str, params: TVL1Params, threads: int) -> Engine:
        """The backend's engine; the CPU's where that was left open and the GPU's does not start."""
        try:
            return _create_engine(self.backend, params, threads)
        except UserError as error:
            if asked not in ("auto", "native") or self.backend != "native_cuda":
                raise
            _warn_of_unused_gpu(str(error))
            self.backend = "native_cpu"
            return _create_engine(self.backend, params, threads)

    def _made_by(self) -> dict[str, Any]:
        """What determines the flow: algorithm, parameters, backend, implementation, version.

        The native engine is one backend here: CPU and GPU differ no more than the CPU does from
        itself when frames change by 0.0001 grey levels (docs/flow.md). The other backends have
        but one variant.
        """
        native = self.backend.startswith("native")
        params = self.params if native else replace(self.params, variant="opencv")
        return {
            "algorithm": "tvl1",
            **params.as_dict(),
            "backend": "native" if native else self.backend,
            "implementation": self._engine.implementation,
            "version": self._engine.version,
        }
