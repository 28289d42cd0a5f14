"""Our preprocessing and network against mmaction2's: the same model, the same frames, equal scores.

A Recognizer2D (ResNet-50, TSNHead) of mmaction2 with random weights is saved as mmaction2 saves it
and converted by `python -m tsn.convert`. Both then score the same clip with 25 snippets x 10
crops: mmaction2 by its own transforms (SampleFrames, TenCrop, FormatShape, PackActionInputs),
data_preprocessor and network, ours by the shards, the test snippets and the network of the
pipeline. For flow the ten crops of mmaction2 are wrong (its TenCrop mirrors the picture and leaves
the horizontal motion as it was; ours turns x into 255 - x), so the five that are not mirrored are
compared, and how far the mirrored ones are apart is printed.

In the environment that benchmarks/mmaction2.py describes:

    mmaction2-env/bin/python -m benchmarks.mmaction2_equality VIDEO [--snippets 25]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.mmaction2 import (
    CONFIGS,
    MODELS,
    TRANSFORMS,
    ActionDataSample,
    published,
    register_all_modules,
)
from tsn.config.schema import FlowConfig, FramesConfig, TestConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.convert import main as convert
from tsn.data.dataset import TestSnippets
from tsn.data.sampling import centre_starts, snippet_indices
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.models.modality import snippet_frames
from tsn.shards.build import build_rgb_shard
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import load_model

SIZE = (340, 256)
CLASSES = 10
BATCH = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path)
    parser.add_argument("--snippets", type=int, default=25, help="per clip (default: 25)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    register_all_modules()
    torch.manual_seed(options.seed)
    print("scores of one clip, random ResNet-50; differences are the largest over all classes")
    print("modality | snippets x crops   | sampling | crops  | scores from … to  | difference")
    with tempfile.TemporaryDirectory() as folder:
        for modality in CONFIGS:
            compare(modality, options.video, options.snippets, Path(folder))


def compare(modality: str, clip: Path, snippets: int, folder: Path) -> None:
    theirs, config = their_model(modality)
    checkpoint = folder / f"{modality}.pth"
    torch.save({"meta": {"cfg": config.pretty_text}, "state_dict": theirs.state_dict()}, checkpoint)
    classes = folder / "classes.txt"
    classes.write_text("".join(f"class {n}\n" for n in range(CLASSES)))
    model_file = str(folder / f"{modality}.pt")
    arguments = ["--modality", modality, "--classes", str(classes), "-o", model_file]
    assert convert([str(checkpoint), *arguments]) == 0
    ours, info = load_model(model_file)

    shards = ShardSet([write_shard(modality, clip, folder)])
    video = Video("class/clip", str(clip), "class", 0, {1: "test"})
    test = TestConfig(
        segments=snippets, crops=10, crop_size=224, snippet_sampling="segment_centres"
    )
    whole = TestSnippets(shards, [video], modality, test, info.input_size)
    our_crops = whole.cut(whole[0])
    rows = shards.length(video.id)
    length = snippet_frames(modality)
    starts = centre_starts(rows, length, snippets)
    their_starts = their_sampling(rows, length, snippets)
    images = [snippet_indices(start, length, rows) for start in starts]
    frames = list(shards.read(video.id, np.concatenate(images)))
    their_crops = their_pipeline(modality, frames, length, snippets)

    # Ours: crops, then mirrored crops; theirs: each crop followed by its mirror image.
    our_order = our_crops.view(2, 5, snippets, *our_crops.shape[1:])
    their_order = their_crops.view(5, 2, snippets, *their_crops.shape[1:]).transpose(0, 1)
    sampled = "same" if np.array_equal(starts, their_starts) else "given"
    scores = []
    for kind, our_part, their_part in zip(
        ("five upright", "five mirrored"), our_order, their_order, strict=True
    ):
        equal = "equal" if our_part.equal(their_part) else "differ"
        scores.append(
            (our_score(ours, our_part.flatten(0, 1)), their_score(theirs, their_part.flatten(0, 1)))
        )
        report(modality, f"{snippets} x {kind}", sampled, equal, *scores[-1])
    if modality == "rgb":
        report(modality, f"{snippets} x all ten", sampled, "", *np.mean(scores, axis=0))


def report(
    modality: str, what: str, sampled: str, crops: str, ours: np.ndarray, theirs: np.ndarray
) -> None:
    print(
        f"{modality:8} | {what:18} | {sampled:8} | {crops:6} | "
        f"{ours.min():7.3f} … {ours.max():7.3f} | {abs(ours - theirs).max():.1e}"
    )


def their_model(modality: str) -> tuple:
    """A recogniser whose random layers have statistics and scores like those of a trained one."""
    config = published(modality)
    config.model.backbone.pretrained = None
    config.model.cls_head.num_classes = CLASSES
    config.model.cls_head.average_clips = "score"  # scores before softmax, as ours are
    model = MODELS.build(config.model)
    channels = 3 if modality == "rgb" else 10
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.uniform_(-0.5, 0.5)
                layer.momentum = 1.0
        model.train().backbone(torch.randn(8, channels, 96, 96))
        torch.nn.init.normal_(model.cls_head.fc_cls.weight, std=0.003)
        torch.nn.init.normal_(model.cls_head.fc_cls.bias)
    return model.eval(), config


def write_shard(modality: str, clip: Path, folder: Path) -> Path:
    path, videos = folder / f"{modality}.h5", [Video("class/clip", str(clip), "class")]
    if modality == "rgb":
        build_rgb_shard(path, videos, FramesConfig(SIZE, 95))
    else:
        build_flow_shard(path, videos, SIZE, FlowConfig("native", 20.0, TVL1Params()), 1)
    return path


def their_sampling(rows: int, length: int, snippets: int) -> np.ndarray:
    """The first row of each snippet by SampleFrames; for flow it follows a rule of 3-D networks."""
    sample = {"type": "SampleFrames", "clip_len": length, "frame_interval": 1}
    transform = TRANSFORMS.build({**sample, "num_clips": snippets, "test_mode": True})
    return transform({"total_frames": rows, "start_index": 0})["frame_inds"][::length]


def their_pipeline(modality: str, frames: list, length: int, snippets: int) -> torch.Tensor:
    """The crops of mmaction2's test pipeline: uint8 (10 * snippets, C, 224, 224)."""
    results = {
        "imgs": frames,
        "num_clips": snippets,
        "clip_len": length,
        "modality": {"rgb": "RGB", "flow": "Flow"}[modality],
        "img_shape": frames[0].shape[:2],
        "original_shape": frames[0].shape[:2],
        "label": 0,
    }
    for step in (
        {"type": "TenCrop", "crop_size": 224},
        {"type": "FormatShape", "input_format": "NCHW"},
        {"type": "PackActionInputs"},
    ):
        results = TRANSFORMS.build(step)(results)
    return results["inputs"]


@torch.inference_mode()
def our_score(model: torch.nn.Module, crops: torch.Tensor) -> np.ndarray:
    scores = [model.snippet_scores(batch).double() for batch in crops.split(BATCH)]
    return torch.cat(scores).mean(0).numpy()


@torch.inference_mode()
def their_score(model: torch.nn.Module, crops: torch.Tensor) -> np.ndarray:
    """Their network averages features, so batches of one size may be averaged."""
    scores = []
    for batch in crops.split(BATCH):
        sample = ActionDataSample().set_gt_label(0)
        result = model.test_step({"inputs": [batch], "data_samples": [sample]})
        scores.append(result[0].pred_score.double())
    return torch.stack(scores).mean(0).numpy()


if __name__ == "__main__":
    main()
