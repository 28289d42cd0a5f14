"""Model files and resumable training state: tensors and plain values only, never code."""

import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from tsn.config.schema import ModelConfig
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path

FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself.

    `shards` is the fingerprint of the shards it was trained on: others are refused. An imported
    model has none.
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
    shards: dict
    code_version: str


def new_network(classes: int, modality: str, model: ModelConfig, recipe) -> TSN:
    """The untrained network of a configuration (`recipe`: its TrainingConfig).

    Partial BN freezes pretrained statistics; a network that starts from scratch has none, and
    trains all its batch normalisation.

    Raises:
        UserError: if the backbone cannot take images of `model.input_size`, and see `TSN`.
    """
    from_scratch = model.weights == "none" or (modality != "rgb" and not model.cross_modality)
    network = TSN(
        classes,
        modality,
        model.backbone,
        model.weights,
        recipe.segments,
        sha256=model.sha256,
        consensus=model.consensus,
        dropout=recipe.dropout,
        partial_bn=recipe.partial_bn and not from_scratch,
        cross_modality=model.cross_modality,
    )
    _check_input_size(network, model)
    return network


def _check_input_size(network: TSN, model: ModelConfig) -> None:
    """Some backbones need images of one size, or of a least size, and only say so when run."""
    side = model.input_size
    try:
        with torch.inference_mode():
            network.eval().snippet_scores(torch.zeros(1, network.channels, side, side))
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"model.input_size: {model.backbone} cannot take images of {side} px ({reason}); "
            "choose another size, such as 224"
        ) from None


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
        )
        network.load_state_dict(state["network"])
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
