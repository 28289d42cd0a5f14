"""Optical flow by torchvision's RAFT (Teed and Deng 2020), a network trained on flow."""

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
import torchvision
from torch.nn import functional
from torchvision.models import WeightsEnum, optical_flow

from tsn.flow.estimator import FlowEstimator
from tsn.models.pretrained import read_state_dict
from tsn.runtime.errors import UserError

State: TypeAlias = Mapping[str, torch.Tensor]

MODELS = {
    "raft": (optical_flow.raft_large, optical_flow.Raft_Large_Weights),
    "raft_small": (optical_flow.raft_small, optical_flow.Raft_Small_Weights),
}

UPDATES = 12
"""Refinements of the flow (torchvision's default)."""

_MULTIPLE, _SMALLEST_SIDE = 8, 128
"""Sides that the network takes: multiples of 8 from 128 px up, for its pyramid has four levels."""

_GPU_BATCH = 8


class RAFT(FlowEstimator):
    """Computes flow with RAFT, on a GPU where torch finds one.

    Args:
        algorithm: A key of `MODELS`.
        weights: torchvision's name of the weights ("default" for its best), which are downloaded
            once, or a file with a state dict.
        sha256: Checksum of that file, in hex, or its first digits.

    Raises:
        UserError: The weights are not there, or not of this network.
    """

    def __init__(
        self, algorithm: str = "raft", weights: str = "default", sha256: str | None = None
    ) -> None:
        build, published = MODELS[algorithm]
        if weights == "default":
            weights = published.DEFAULT.name
        if weights in published.__members__:
            state = _download(published[weights])
            self._published = {"source": weights}
        else:
            state = _read(weights, sha256)
            self._published = {}
        # The initial weights are overwritten: the caller's random numbers stay as they are.
        with torch.random.fork_rng(devices=[]):
            network = build()
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise UserError(
                f"{weights}: holds no weights of torchvision's {algorithm}; correct flow.weights"
            ) from error
        super().__init__(_Engine(network.eval()))
        self._algorithm, self._digest = algorithm, _digest(state)

    def _made_by(self) -> dict[str, Any]:
        """What determines the flow; `source` names published weights."""
        return {
            "algorithm": self._algorithm,
            "backend": "torch",
            "implementation": self._engine.implementation,
            "version": self._engine.version,
            "updates": UPDATES,
            "weights": self._digest,
            **self._published,
        }


def _download(weights: WeightsEnum) -> State:
    try:
        return weights.get_state_dict(progress=False, check_hash=True)
    # urllib's errors are OSErrors; a wrong hash and a broken file are RuntimeErrors.
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"cannot download {weights.url} ({error}): get the file by other means and give its "
            "path as flow.weights, or --weights"
        ) from error


def _read(path: str, sha256: str | None) -> State:
    try:
        return dict(read_state_dict(path, sha256))
    except UserError as error:
        raise UserError(f"flow.weights: {error}") from error


def _digest(state: State) -> str:
    """A checksum of weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name, values in sorted(state.items()):
        values = values.float() if values.dtype == torch.bfloat16 else values  # NumPy lacks it
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


class _Engine:
    implementation = "torchvision"
    version = torchvision.__version__

    def __init__(self, network: torch.nn.Module) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = network.to(self._device)
        # One at a time on a CPU, so that a pair's flow depends on no other.
        self._batch = 1 if self._device.type == "cpu" else _GPU_BATCH

    def sequence(self, frames: np.ndarray) -> np.ndarray:
        return self.pairs(frames[:-1], frames[1:])

    def pairs(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        out = np.empty((len(first), 2, *first.shape[1:]), np.float32)
        height, width = first.shape[1:]
        for begin in range(0, len(out), self._batch):
            part = slice(begin, begin + self._batch)
            out[part] = self._compute(first[part], second[part])[..., :height, :width]
        return out

    @torch.inference_mode()
    def _compute(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        with torch.autocast(self._device.type, enabled=False):
            inputs = [self._prepare(frames) for frames in (first, second)]
            flow = self._network(*inputs, num_flow_updates=UPDATES)[-1]
        return flow.cpu().numpy()

    def _prepare(self, frames: np.ndarray) -> torch.Tensor:
        """Grey frames (N, H, W) as the network takes them: -1..1, three channels, sides padded."""
        values = torch.from_numpy(frames).to(self._device, torch.float32) / 127.5 - 1
        down, right = (
            max(_SMALLEST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) - side
            for side in values.shape[1:]
        )
        padded = functional.pad(values[:, None], (0, right, 0, down), mode="replicate")
        return padded.expand(-1, 3, -1, -1).contiguous()
