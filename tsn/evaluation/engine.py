"""What scores snippets in the test: PyTorch, or ONNX Runtime, several times as fast on a CPU."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tsn.models.export import export_onnx
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.training.device import autocast

TOLERANCE = 1e-5
"""How far the scores of both may be apart, as a fraction of the largest one."""

logger = logging.getLogger("tsn")


class Scorer:
    """Scores snippets (M, C, S, S), float (M, classes) before softmax, on the network's device.

    Attributes:
        engine: "torch" or "onnxruntime", once there have been scores.

    Args:
        network: in evaluation mode, on `device`.
        device: where it is.
        engine: "torch", "onnxruntime", or "auto": ONNX Runtime on a CPU if the network can be
            converted and its scores of the first snippets are those of PyTorch.
        precision: of PyTorch: "fp32", "bf16", "fp16" or "auto"; ONNX Runtime has fp32 only.
    """

    def __init__(
        self, network: TSN, device: torch.device, engine: str = "auto", precision: str = "auto"
    ):
        self._network, self._device = network, device
        self._wanted, self._precision = engine, precision
        self._session: Any = None
        self.engine: Literal["torch", "onnxruntime"] | None = None

    @torch.inference_mode()
    def __call__(self, snippets: torch.Tensor) -> torch.Tensor:
        """Score snippets, uint8 or int16.

        Raises:
            UserError: if ONNX Runtime is asked for and cannot be used, or fails.
        """
        if self.engine is None:
            self._choose(snippets)
        if self._session is None:
            with autocast(self._device, self._precision):
                return self._network.snippet_scores(snippets)
        try:
            return _run(self._session, snippets)
        except UserError as error:
            raise UserError(f"{error}; set test.engine: torch") from error

    def _choose(self, snippets: torch.Tensor) -> None:
        self.engine = "torch"
        if self._wanted == "torch" or (self._wanted == "auto" and self._device.type != "cpu"):
            return
        try:
            if self._device.type != "cpu":
                raise UserError("it is for CPUs, and this is a GPU")
            if self._precision in ("bf16", "fp16"):
                raise UserError(f"it does not compute in {self._precision}")
            session = _session(self._network, snippets)
            self._check(session, snippets)
        except UserError as error:
            if self._wanted == "onnxruntime":
                raise UserError(f"test.engine: onnxruntime: {error}; use auto or torch") from error
            logger.info("the test runs on PyTorch and not on ONNX Runtime: %s", error)
            return
        self._session, self.engine = session, "onnxruntime"

    def _check(self, session: Any, snippets: torch.Tensor) -> None:
        first = snippets[:3]  # more than the network was converted with
        expected = self._network.snippet_scores(first)
        found = _run(session, first)
        if found.shape != expected.shape:
            raise UserError("it scores another number of snippets than it was given")
        error = float((found - expected).abs().max() / expected.abs().max())
        if not error <= TOLERANCE:
            raise UserError(f"its scores differ by {error:.1g} of the largest one")


def _session(network: TSN, snippets: torch.Tensor) -> Any:
    """The network in ONNX Runtime, with the threads that PyTorch has.

    Raises:
        UserError: if it is not installed, or cannot take the network.
    """
    if find_spec("onnxruntime") is None:
        raise UserError("the package onnxruntime is not installed")
    with tempfile.TemporaryDirectory() as folder, onnxruntime_errors_as_user_error():
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        path = Path(folder) / "network.onnx"
        export_onnx(network, path, snippets.shape[-1], snippets.dtype)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _run(session: Any, snippets: torch.Tensor) -> torch.Tensor:
    """The scores of snippets.

    Raises:
        UserError: if ONNX Runtime fails.
    """
    with onnxruntime_errors_as_user_error():
        (scores,) = session.run(None, {"snippets": np.ascontiguousarray(snippets.numpy())})
    return torch.from_numpy(scores)


@contextmanager
def onnxruntime_errors_as_user_error() -> Iterator[None]:
    """Turn errors of ONNX Runtime, which have no base but Exception, into a `UserError`."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"ONNX Runtime cannot compute the network ({reason})") from error
