"""Networks as files of ONNX and of `torch.export`, for ONNX Runtime and other programs."""

import copy
import io
import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch
from torch import nn

from tsn.models.fold import bake_batch_norm
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path

OPSET = 17
"""Version of ONNX's operators: ONNX Runtime 1.13 (2022) and later have it."""

POOLINGS = ("average", "max")
"""What an exported file can make of the scores of snippets, see `tsn.evaluation.pooling`."""


class _Snippets(nn.Module):
    """A copy of the network without its consensus; all shapes but the batch's are constants."""

    order: torch.Tensor
    mean: torch.Tensor
    gain: torch.Tensor

    def __init__(self, network: TSN):
        super().__init__()
        network = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)
        self.net, self.classifier = network.net, network.classifier
        normalise, channels = network.normalise, torch.arange(network.channels)
        period = len(normalise.order)
        self.register_buffer(
            "order", channels // period * period + normalise.order[channels % period]
        )
        self.register_buffer("mean", normalise.mean[channels % period])
        self.register_buffer("gain", normalise.gain[channels % period])
        self.eval()
        bake_batch_norm(self)

    def forward(self, snippets: torch.Tensor) -> torch.Tensor:
        """Scores of single snippets."""
        images = (snippets.index_select(1, self.order).float() - self.mean) * self.gain
        return self.classifier(self.net(images))


class Fused(nn.Module):
    """Networks of several modalities and their late fusion, from snippets to probabilities.

    Args:
        networks: by modality, as `load_model` gives them; they are copied.
        weights: of the fusion, by modality, all above 0.
        fuse: "logits" or "probabilities", see `tsn.evaluation.fusion.combine`.
        pooling: one of `POOLINGS`.
        loss: of the networks; of "bce", probabilities are logistic, of the weighted mean.
    """

    def __init__(
        self,
        networks: Mapping[str, TSN],
        weights: Mapping[str, float],
        fuse: str = "logits",
        pooling: str = "average",
        loss: str = "cross_entropy",
    ):
        super().__init__()
        self._loss = loss
        self.networks = nn.ModuleDict({name: _Snippets(net) for name, net in networks.items()})
        self._weights, self._fuse = [weights[name] for name in networks], fuse
        self._pooling = pooling
        self.inputs = list(networks)
        self.outputs = [*(f"{name}_scores" for name in networks), "scores", "probabilities"]
        self.eval()

    def forward(self, *videos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Score videos.

        Args:
            videos: for each network, (N, K, C, side, side); K may differ between them.

        Returns:
            For each network the scores of its snippets before softmax, float32 (N, K, classes);
            then the fused scores and the probabilities, (N, classes).
        """
        snippets = [
            network(video.flatten(0, 1)).unflatten(0, video.shape[:2])
            for network, video in zip(self.networks.values(), videos, strict=True)
        ]
        pooled = [s.mean(1) if self._pooling == "average" else s.amax(1) for s in snippets]
        if self._fuse == "probabilities":
            pooled = [self._probabilities(scores) for scores in pooled]
        terms = [weight * s for weight, s in zip(self._weights, pooled, strict=True)]
        fused = torch.stack(terms).sum(0)
        if self._fuse == "probabilities":
            return *snippets, fused, fused / sum(self._weights)
        mean = fused / sum(self._weights) if self._loss == "bce" else fused
        return *snippets, fused, self._probabilities(mean)

    def _probabilities(self, scores: torch.Tensor) -> torch.Tensor:
        return scores.sigmoid() if self._loss == "bce" else scores.softmax(-1)


def export_onnx(network: TSN, path: Path | str, side: int, dtype: torch.dtype) -> None:
    """Write a trained network as ONNX: normalisation, backbone and classifier.

    Its input `snippets` is (N, C, side, side) as data sets give them, its output `scores` float32
    (N, classes), before softmax and before the consensus, which takes the mean of a video's.

    Args:
        network: as `load_model` gives it; it is left as it is.
        path: the file.
        side: of the input in pixels.
        dtype: of the input: uint8, or int16 for RGB differences.

    Raises:
        UserError: if PyTorch cannot convert the network.
    """
    example = torch.zeros(2, network.channels, side, side, dtype=dtype)
    axes = {"snippets": {0: "N"}, "scores": {0: "N"}}
    with atomic_path(path) as temporary:
        _write_onnx(_Snippets(network), (example,), temporary, ["snippets"], ["scores"], axes, path)


def write_onnx(model: Fused, examples: tuple[torch.Tensor, ...], path: Path, about: dict) -> None:
    """Write networks and their fusion as ONNX, with any number of videos and snippets.

    Args:
        model: the networks.
        examples: an input for each of them, see `Fused.forward`.
        path: the file.
        about: metadata; values that are no text are written as JSON.

    Raises:
        UserError: if PyTorch cannot convert a network.
    """
    import onnx

    axes: dict[str, dict[int, str]] = {
        name: {0: "videos", 1: f"{name.removesuffix('_scores')}_snippets"}
        for name in (*model.inputs, *model.outputs[:-2])
    }
    axes |= {name: {0: "videos"} for name in model.outputs[-2:]}
    _write_onnx(model, examples, path, model.inputs, model.outputs, axes, path)
    proto = onnx.load(path)
    for key, value in about.items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = key, value if isinstance(value, str) else json.dumps(value)
    onnx.save(proto, path)


def write_pt2(model: Fused, examples: tuple[torch.Tensor, ...], path: Path, about: dict) -> None:
    """The same as an archive of `torch.export`; the metadata is its extra file "about.json"."""
    videos = torch.export.Dim("videos")
    shapes = tuple({0: videos, 1: torch.export.Dim(f"{name}_snippets")} for name in model.inputs)
    try:
        with _for_conversion():
            program = torch.export.export(model, examples, dynamic_shapes=(shapes,))
            with path.open("wb") as file:
                torch.export.save(program, file, extra_files={"about.json": json.dumps(about)})
    except (RuntimeError, ValueError, torch._dynamo.exc.TorchDynamoException) as error:
        raise _not_convertible(path, "torch.export", error) from error


def _write_onnx(
    model: nn.Module,
    examples: tuple[torch.Tensor, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
    name: Path | str,
) -> None:
    try:
        with _for_conversion():
            # PyTorch's new exporter needs two more packages.
            torch.onnx.export(
                model,
                examples,
                str(path),
                input_names=inputs,
                output_names=outputs,
                dynamic_axes=axes,
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        raise _not_convertible(name, "ONNX", error) from error


@contextmanager
def _for_conversion() -> Iterator[None]:
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # of attention: no other program has it
    try:
        with (
            torch.no_grad(),
            warnings.catch_warnings(action="ignore"),
            redirect_stdout(io.StringIO()),  # a network that cannot be converted is printed
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def _not_convertible(path: Path | str, to: str, error: Exception) -> UserError:
    reason = str(error).strip().partition("\n")[0]
    return UserError(f"{path}: PyTorch cannot convert the network to {to} ({reason})")
