"""Model files and resumable training state: tensors and plain values only, never code."""

import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from tsn.models.fold import fold_batch_norm
from tsn.models.modality import SNIPPET_LENGTH, snippet_frames
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself.

    `shards` is the fingerprint of the shards it was trained on: others are refused. Of an imported
    model it is no more than the `variant` of the flow that it wants. `swap` holds the classes that
    mirroring exchanges (`training.flip`), and `loss` is "cross_entropy" or "bce".
    """

    dataset: str
    experiment: str
    split: int
    modality: str
    classes: tuple[str, ...]
    backbone: str
    consensus: str
    segments: int
    input_size: int
    seed: int
    shards: dict[str, object]
    code_version: str
    swap: dict[str, str] = field(default_factory=dict)
    loss: str = "cross_entropy"
    snippet_length: int = SNIPPET_LENGTH

    @property
    def snippet_frames(self) -> int:
        """Frames or flow fields read per snippet."""
        return snippet_frames(self.modality, self.snippet_length)


def save_model(path: Path | str, network: TSN, info: ModelInfo) -> None:
    """Write a model file."""
    write_state(
        path, {"format": FORMAT_VERSION, "info": asdict(info), "network": network.state_dict()}
    )


def load_model(path: Path | str) -> tuple[TSN, ModelInfo]:
    """The trained network, in evaluation mode on the CPU, and what it is.

    Raises:
        UserError: if the file is absent, damaged, or no model file of this version.
    """
    state = read_state(path)
    if not isinstance(state, dict) or state.get("format") != FORMAT_VERSION or "info" not in state:
        raise UserError(
            f"{path}: not a model file of format {FORMAT_VERSION}; train the model again"
        )
    try:
        info = ModelInfo(**{**state["info"], "classes": tuple(state["info"]["classes"])})
        network = TSN(
            len(info.classes),
            info.modality,
            info.backbone,
            "none",
            info.segments,
            consensus=info.consensus,
            snippet_length=info.snippet_length,
        )
        network.load_state_dict(state["network"])
        fold_batch_norm(network.net, network.channels, info.input_size)
    except UserError as error:  # such as a backbone of a package that is not installed
        raise UserError(f"{path}: {error}") from None
    except (TypeError, KeyError, RuntimeError) as error:
        raise _unusable(path, error) from None
    return network.eval(), info


def write_state(path: Path | str, state: dict) -> None:
    """Save tensors and plain values atomically."""
    # Through a file object: torch.save would write the temporary name into a file it opens itself.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(state, file)


def read_state(path: Path | str) -> dict:
    """Load what `write_state` wrote; a file from a stranger cannot run code.

    Raises:
        UserError: if the file is absent or damaged.
    """
    try:
        # PyTorch writes a CRC-32 of every tensor and does not look at it when it reads.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                raise ValueError("a checksum differs")
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file; train the model first") from None
    except Exception as error:  # PyTorch's unpickler raises whatever strange bytes lead to
        raise _unusable(path, error) from None


def _unusable(path: Path | str, error: Exception) -> UserError:
    # Not PyTorch's own text: it advises to load with weights_only=False, which could run code.
    return UserError(
        f"{path}: cannot be loaded ({type(error).__name__}): damaged, or no file of ours; "
        "run again with --forcerun train_model"
    )
