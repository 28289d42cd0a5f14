"""A model, or all networks of a run and their fusion, as a file for other programs."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from tsn.data.dataset import TestSnippets
from tsn.datasets.records import Video
from tsn.evaluation.engine import TOLERANCE, onnxruntime_errors_as_user_error
from tsn.models.export import OPSET, POOLINGS, Fused, write_onnx, write_pt2
from tsn.models.modality import FLOW_MODALITIES, STREAM_OF
from tsn.models.network import TSN
from tsn.predict.ensemble import load_networks
from tsn.predict.run import FinishedRun, frame_size
from tsn.runtime.errors import UserError
from tsn.runtime.files import atomic_path
from tsn.runtime.job import code_version
from tsn.shards.format import Shard
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo

VIDEOS, SNIPPETS = 2, 3
"""How many the written file is compared with PyTorch on."""

Networks = dict[str, tuple[TSN, ModelInfo]]


@dataclass(frozen=True)
class Checked:
    """How far the scores of a written file are from PyTorch's, and how large they are."""

    difference: float
    largest: float
    runtime: str


def export_run(run: FinishedRun, out: Path, shards: Sequence[Path] = ()) -> Checked:
    """Write the networks of a run and their fusion as one file, once its scores are PyTorch's.

    Args:
        run: with one or several modalities.
        out: an .onnx or a .pt2.
        shards: to compare scores on, one of each stream; those of the run where none is named.

    Raises:
        UserError: a pooling that the file cannot have, no snippets to compare on,
            a network that cannot be converted, or scores that are not PyTorch's.
    """
    if run.protocol.pooling not in POOLINGS:
        raise UserError(
            f"{run.folder}: its snippets are pooled with {run.protocol.pooling}, and a file can "
            f"have {' or '.join(POOLINGS)}; export its models one by one and pool their scores"
        )
    networks = load_networks(run)
    snippets = {m: _snippets(run, m, info, shards) for m, (_, info) in networks.items()}
    model = Fused(
        {m: network for m, (network, _) in networks.items()},
        run.weights,
        run.fuse,
        run.protocol.pooling,
        next(iter(networks.values()))[1].loss,
    )
    # Other numbers of videos and snippets, and of both together, than are scored below; exporters
    # take 1 for a constant.
    examples = tuple(
        torch.zeros(4, 2, *scored.shape[2:], dtype=scored.dtype) for scored in snippets.values()
    )
    write, read, runtime = FORMATS[out.suffix]
    with atomic_path(out) as temporary:
        write(model, examples, temporary, describe(run, networks))
        checked = Checked(*_compare(networks, snippets, read(temporary, snippets)), runtime())
        if not checked.difference <= TOLERANCE * checked.largest:
            raise UserError(
                f"{out}: not written: its scores differ by {checked.difference:.2g} from "
                f"PyTorch's, which are up to {checked.largest:.3g}; try the other format"
            )
    return checked


def describe(run: FinishedRun, networks: Networks) -> dict:
    """Metadata of the file: what goes in, what comes out, and where it is from."""
    infos = {modality: info for modality, (_, info) in networks.items()}
    first = next(iter(infos.values()))
    outputs = {f"{m}_scores": "scores of the snippets before softmax" for m in infos}
    return {
        "classes": list(first.classes),
        "inputs": {m: _input(info, run) for m, info in infos.items()},
        "outputs": {
            **outputs,
            "scores": f"{run.fuse} of the pooled snippets, summed with the weights",
            "probabilities": "of the classes, 0…1, before calibration",
        },
        "pooling": run.protocol.pooling,
        "weights": run.weights,
        "test": asdict(run.protocol),
        "models": {m: {**asdict(info), "sha256": run.sha256[m]} for m, info in infos.items()},
        "opset": OPSET,
        "torch": torch.__version__,
        "tsn": code_version(),
    }


def _input(info: ModelInfo, run: FinishedRun) -> dict:
    modality, side = info.modality, info.input_size
    frames = info.snippet_frames
    if modality in FLOW_MODALITIES:
        bound = info.shards.get("bound", "bound")
        what = (
            f"{frames} consecutive fields of {STREAM_OF[modality]}, channels x, y, x, y, …; "
            f"pixels per frame v as round(255 (v + {bound}) / (2 · {bound}))"
        )
    elif modality == "rgb_diff":
        what = f"differences of {frames} consecutive frames, R, G, B, R, …, -255…255"
    else:
        what = "one frame, R, G, B, 0…255"
    size = frame_size(info)
    resized = f"a shorter side of {size}" if isinstance(size, int) else "{}x{}".format(*size)
    return {
        "shape": ["videos", "snippets", "channels", side, side],
        "dtype": "int16" if modality == "rgb_diff" else "uint8",
        "content": what,
        "preprocessing": f"frames resized bilinearly to {resized} px, then crops of "
        f"{run.protocol.crop_size} px resized to {side} px; normalisation is inside",
        "made": info.shards,
    }


def _snippets(
    run: FinishedRun, modality: str, info: ModelInfo, shards: Sequence[Path]
) -> torch.Tensor:
    """Central crops of a few snippets of real videos: (videos, snippets, C, side, side)."""
    stream = STREAM_OF[modality]
    folder = run.models[modality].absolute().parents[3] / "shards" / stream
    for path in shards or sorted(folder.glob("[0-9]*.h5")):
        with Shard(path) as shard:
            videos = [Video(v.id, "", "") for v in shard.videos.values() if v.ok][:VIDEOS]
            if shard.stream != stream or not videos:
                continue
        store = ShardSet([path])
        few = replace(run.protocol, protocol="segments", segments=SNIPPETS, crops=1)
        length = info.snippet_length
        items = TestSnippets(store, videos, modality, few, info.input_size, snippet_length=length)
        crops = [items.cut(items[n]).contiguous() for n in range(len(items))]
        return torch.stack(crops)
    raise UserError(
        f"{folder}: has no {stream} shard with a video to compare {modality} scores on; name one "
        "with --check"
    )


Inputs = dict[str, torch.Tensor]


def _compare(networks: Networks, inputs: Inputs, found: list[torch.Tensor]) -> tuple[float, float]:
    """Largest difference from the scores of snippets by PyTorch, and the largest of these."""
    difference = largest = 0.0
    for (network, _), snippets, theirs in zip(
        networks.values(), inputs.values(), found, strict=False
    ):
        with torch.inference_mode():
            ours = network.snippet_scores(snippets.flatten(0, 1)).unflatten(0, snippets.shape[:2])
        difference = max(difference, float((theirs - ours).abs().max()))
        largest = max(largest, float(ours.abs().max()))
    return difference, largest


def _read_onnx(path: Path, inputs: Inputs) -> list[torch.Tensor]:
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    with onnxruntime_errors_as_user_error():
        session = onnxruntime.InferenceSession(path.read_bytes(), providers=providers)
        outputs = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return [torch.from_numpy(output) for output in outputs]


def _read_pt2(path: Path, inputs: Inputs) -> list[torch.Tensor]:
    with torch.no_grad(), path.open("rb") as file:
        return list(torch.export.load(file).module()(*inputs.values()))


FORMATS: dict[str, tuple[Callable, Callable, Callable[[], str]]] = {
    ".onnx": (
        write_onnx,
        _read_onnx,
        lambda: f"ONNX opset {OPSET}, ONNX Runtime {version('onnxruntime')}",
    ),
    ".pt2": (write_pt2, _read_pt2, lambda: f"torch.export of PyTorch {torch.__version__}"),
}
"""By the ending of the file: what writes it, what runs it, and the runtime's name."""
