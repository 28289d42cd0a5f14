"""Largest difference between PyTorch and exported networks, for every family of backbones.

    python benchmarks/export.py clip.avi [BACKBONE…]

Random weights; snippets of the clip. Columns: ONNX Runtime, torch.export, and OpenVINO where it is
installed; differences are fractions of the largest score.
"""

import itertools
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from tsn.models.export import Fused, write_onnx, write_pt2
from tsn.models.fold import fold_batch_norm
from tsn.models.network import TSN
from tsn.video.decode import read_frames

FAMILIES = [
    "efficientnet_lite0",
    "bn_inception",
    "clarifai",
    "alexnet",
    "vgg16",
    "vgg16_bn",
    "googlenet",
    "inception_v3",
    "resnet50",
    "resnext50_32x4d",
    "densenet121",
    "squeezenet1_1",
    "shufflenet_v2_x1_0",
    "mnasnet1_0",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "regnet_y_400mf",
    "convnext_tiny",
    "swin_t",
    "swin_v2_t",
    "vit_b_16",
    "maxvit_t",
    "timm:resnet50.a1_in1k",
    "timm:tf_efficientnetv2_b0",
    "timm:vit_tiny_patch16_224",
]


def run_onnx(path: Path, snippets: torch.Tensor) -> np.ndarray:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path)).run(None, {"rgb": snippets.numpy()})[0]


def run_openvino(path: Path, snippets: torch.Tensor) -> np.ndarray:
    import openvino

    model = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model([snippets.numpy()])[0]


def run_pt2(path: Path, snippets: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.export.load(path).module()(snippets)[0].numpy()


def main() -> None:
    frames = np.stack(list(itertools.islice(read_frames(sys.argv[1], (340, 256)), 60)))
    crops = frames[[0, 10, 20, 30, 40, 50], 16:240, 58:282].transpose(0, 3, 1, 2)
    snippets = torch.from_numpy(np.ascontiguousarray(crops)).view(2, 3, 3, 224, 224)
    for name in sys.argv[2:] or FAMILIES:
        torch.manual_seed(0)
        network = TSN(101, "rgb", name, "none", 3, partial_bn=False).eval()
        fold_batch_norm(network.net, 3, 224)
        with torch.inference_mode():
            expected = network.snippet_scores(snippets.flatten(0, 1)).view(2, 3, -1).numpy()
        model, row = Fused({"rgb": network}, {"rgb": 1.0}), []
        example = (torch.zeros(3, 2, 3, 224, 224, dtype=torch.uint8),)
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
            onnx, pt2 = Path(folder, "a.onnx"), Path(folder, "a.pt2")
            for path, write, run in (
                (onnx, write_onnx, run_onnx),
                (pt2, write_pt2, run_pt2),
                (onnx, None, run_openvino),
            ):
                try:
                    if write:
                        write(model, example, path, {})
                    found = run(path, snippets)
                    row.append(f"{np.abs(found - expected).max() / np.abs(expected).max():.1e}")
                except Exception as error:  # the table says which one cannot
                    row.append(f"{type(error).__name__}: {error}".partition("\n")[0][:60])
        print(f"| `{name}` | " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
