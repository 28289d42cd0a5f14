"""Networks as ONNX files, for ONNX Runtime and other programs."""

import copy
import io
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import torch
from torch import nn

from tsn.models.fold import bake_batch_norm
from tsn.models.network import TSN
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path

OPSET = 17
"""Version of ONNX's operators: ONNX Runtime 1.13 (2022) and later have it."""


class _Snippets(nn.Module):
    """The network without its consensus; all shapes but that of the batch are constants."""

    order: torch.Tensor
    mean: torch.Tensor
    gain: torch.Tensor

    def __init__(self, network: TSN):
        super().__init__()
        self.net, self.classifier = network.net, network.classifier
        normalise, channels = network.normalise, torch.arange(network.channels)
        period = len(normalise.order)
        self.register_buffer(
            "order", channels // period * period + normalise.order[channels % period]
        )
        self.register_buffer("mean", normalise.mean[channels % period])
        self.register_buffer("gain", normalise.gain[channels % period])

    def forward(self, snippets: torch.Tensor) -> torch.Tensor:
        """Scores of single snippets."""
        images = (snippets.index_select(1, self.order).float() - self.mean) * self.gain
        return self.classifier(self.net(images))


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
    model = _Snippets(copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format))
    model.eval()
    bake_batch_norm(model)
    example = torch.zeros(2, network.channels, side, side, dtype=dtype)
    try:
        with (
            atomic_path(path) as temporary,
            torch.no_grad(),
            warnings.catch_warnings(action="ignore"),
            redirect_stdout(io.StringIO()),  # where it cannot, it prints the whole network
        ):
            # PyTorch's new exporter needs two more packages.
            torch.onnx.export(
                model,
                (example,),
                str(temporary),
                input_names=["snippets"],
                output_names=["scores"],
                dynamic_axes={"snippets": {0: "N"}, "scores": {0: "N"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, torch.onnx.OnnxExporterError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: PyTorch cannot convert the network to ONNX ({reason})") from error
