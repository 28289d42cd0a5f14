"""Recipes for a hundred clips: accuracy of RGB over group-aware folds and seeds.

python benchmarks/small_data.py VIDEOS [--group EXPRESSION] [--seeds 3] [--recipes RECIPE …]

VIDEOS has a folder per class. Three folds of whole groups (the match of --group in a clip's name):
each recipe is trained on two and tested on the third, in turn, with EfficientNet-Lite0 on frames of
170x128 pixels cropped to 112. Printed is the accuracy over all clips, in %: mean and standard
deviation over the seeds. The linear probe has no seed. A GPU is used if there is one; without, a
recipe takes a core some twenty minutes a seed.
"""

import argparse
import math
import re
from pathlib import Path
from statistics import mean, stdev

import cv2
import numpy as np
import torch
from torch.nn.functional import cross_entropy, interpolate

from tsn.data.transforms import random_crop
from tsn.datasets.group_split import assign_folds
from tsn.models.network import TSN
from tsn.models.parameter_groups import parameter_groups
from tsn.training.probe import fit_classifier

SIZE, SIDE, FRAMES, FOLDS = (170, 128), 112, 36, 3
SCALES = (1, 0.875, 0.75, 0.66)
WEIGHT_DECAY = 5e-4
BASE = {"segments": 3, "dropout": 0.8, "lr": 0.001, "batch": 16, "epochs": 40}
RECIPES = {
    "linear probe": {"segments": 3},
    "K = 1": BASE | {"segments": 1},
    "K = 3": BASE,
    "K = 3, dropout .923": BASE | {"dropout": 12 / 13},
    "batches of 128, 80 epochs": BASE | {"batch": 128, "epochs": 80},
    "cosine": BASE | {"cosine": True},
    "AdamW": BASE | {"lr": 1e-4, "adamw": True, "weight_decay": 0.05},
    "EMA .99": BASE | {"ema": 0.99},
    "mixup .2": BASE | {"mixup": 0.2},
    "colour jitter .4": BASE | {"jitter": 0.4},
}
"""Constant rates are divided by 10 after three quarters of the epochs."""

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--group", default=r"_(g\d+)_", help="default: UCF101's %(default)s")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    files = sorted(options.videos.glob("*/*.avi"))
    classes = sorted({file.parent.name for file in files})
    frames = [read(file) for file in files]
    labels = np.array([classes.index(file.parent.name) for file in files])
    groups = [f"{f.parent.name} {re.search(options.group, f.stem.lower())[1]}" for f in files]
    named = [(str(n), str(labels[n]), group) for n, group in enumerate(groups)]
    folds = np.array([*assign_folds(named, FOLDS, "x").items()], int)
    folds = folds[folds[:, 0].argsort(), 1]
    for name in options.recipes:
        probe, accuracies = "epochs" not in RECIPES[name], []
        for seed in range(1, 2 if probe else options.seeds + 1):
            right = 0
            for fold in range(1, FOLDS + 1):
                torch.manual_seed(1000 * seed + fold)
                network = (fit_probe if probe else train)(
                    RECIPES[name], frames, labels, np.flatnonzero(folds != fold), seed
                )
                right += sum(
                    predict(network, frames[n]) == labels[n] for n in np.flatnonzero(folds == fold)
                )
            accuracies.append(100 * right / len(files))
        spread = f" ± {stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
        print(f"{name}: {mean(accuracies):.1f}{spread}", flush=True)


def read(file: Path) -> torch.Tensor:
    """At most FRAMES frames of a video, uint8 (n, 3, H, W), on the device."""
    video, frames = cv2.VideoCapture(str(file)), []
    while (frame := video.read()[1]) is not None:
        frames.append(cv2.resize(frame, SIZE, interpolation=cv2.INTER_AREA)[:, :, ::-1])
    chosen = np.linspace(0, len(frames) - 1, min(len(frames), FRAMES)).round().astype(int)
    images = np.stack([frames[n] for n in chosen]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(images)).to(device)


def new_network(recipe: dict, labels: np.ndarray) -> TSN:
    return TSN(
        labels.max() + 1,
        "rgb",
        "efficientnet_lite0",
        "imagenet",
        recipe["segments"],
        dropout=recipe.get("dropout", 0),
    ).to(device)


def fit_probe(
    recipe: dict, frames: list, labels: np.ndarray, trained: np.ndarray, seed: int
) -> TSN:
    network, given = new_network(recipe, labels).eval(), torch.from_numpy(labels[trained])
    with torch.no_grad():
        features = torch.stack(
            [network.net(network.normalise(centre(frames[n], recipe["segments"]))) for n in trained]
        )
    fit_classifier(
        network,
        features.double().cpu(),
        WEIGHT_DECAY,
        lambda scores: cross_entropy(scores, given, reduction="sum"),
    )
    return network


def train(recipe: dict, frames: list, labels: np.ndarray, trained: np.ndarray, seed: int) -> TSN:
    rng, network = np.random.default_rng([seed, len(trained)]), new_network(recipe, labels)
    groups = parameter_groups(
        network, "rgb", recipe["lr"], recipe.get("weight_decay", WEIGHT_DECAY)
    )
    solver = (
        torch.optim.AdamW(groups) if "adamw" in recipe else torch.optim.SGD(groups, momentum=0.9)
    )
    average = {key: value.clone() for key, value in network.state_dict().items()}
    per_epoch = math.ceil(len(trained) / recipe["batch"])
    total, step = per_epoch * recipe["epochs"], 0
    network.train()
    for epoch in range(recipe["epochs"]):
        order = rng.permutation(trained)
        for start in range(0, len(order), recipe["batch"]):
            batch = order[start : start + recipe["batch"]]
            for group in solver.param_groups:
                group["lr"] = (
                    recipe["lr"] * rate(recipe, epoch, step, total) * group["lr_multiplier"]
                )
            clips = torch.stack([augment(frames[n], recipe, rng) for n in batch])
            given = torch.from_numpy(labels[batch]).to(device)
            part, other = 1.0, torch.arange(len(batch))
            if "mixup" in recipe:
                part, other = rng.beta(recipe["mixup"], recipe["mixup"]), torch.randperm(len(batch))
            scores = network(part * clips + (1 - part) * clips[other])
            loss = part * cross_entropy(scores, given)
            loss += (1 - part) * cross_entropy(scores, given[other])
            solver.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 20)
            solver.step()
            step += 1
            if "ema" in recipe:
                kept = min(recipe["ema"], (1 + step) / (10 + step))
                for key, value in network.state_dict().items():
                    if value.is_floating_point():
                        average[key].lerp_(value, 1 - kept)
    if "ema" in recipe:
        network.load_state_dict(average)
    return network.eval()


def rate(recipe: dict, epoch: int, step: int, total: int) -> float:
    """The learning rate over its base; cosine after a tenth of warm-up."""
    if "cosine" not in recipe:
        return 0.1 if epoch >= 0.75 * recipe["epochs"] else 1
    warm = total / 10
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))


def augment(frames: torch.Tensor, recipe: dict, rng: np.random.Generator) -> torch.Tensor:
    """Snippets of a video as in training, float (K, 3, SIDE, SIDE) on the 0..255 scale."""
    count, part = recipe["segments"], len(frames) / recipe["segments"]
    starts = [min(len(frames) - 1, int((k + rng.random()) * part)) for k in range(count)]
    crop = random_crop(SIZE, SIDE, SCALES, True, rng)
    clip = frames[starts, :, crop.y : crop.y + crop.height, crop.x : crop.x + crop.width].float()
    clip = interpolate(clip, (SIDE, SIDE), mode="bilinear")
    clip = clip.flip(3) if crop.flip else clip
    if "jitter" in recipe:
        brightness, contrast, saturation = 1 + recipe["jitter"] * rng.uniform(-1, 1, 3)
        clip = clip * brightness
        clip = clip.mean() + (clip - clip.mean()) * contrast
        grey = (clip * clip.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
        clip = (grey + (clip - grey) * saturation).clamp(0, 255)
    return clip


def centre(frames: torch.Tensor, count: int) -> torch.Tensor:
    """The centre crops of snippets from the centres of segments."""
    chosen = [int((k + 0.5) * len(frames) / count) for k in range(count)]
    return frames[chosen, :, 8 : 8 + SIDE, 29 : 29 + SIDE]


@torch.inference_mode()
def predict(network: TSN, frames: torch.Tensor) -> int:
    """The class of a video by 12 snippets of ten crops."""
    whole = frames[[int((k + 0.5) * len(frames) / 12) for k in range(12)]]
    corners = (0, 0), (58, 0), (0, 16), (58, 16), (29, 8)
    crops = torch.cat([whole[:, :, y : y + SIDE, x : x + SIDE] for x, y in corners])
    return int(network.snippet_scores(torch.cat([crops, crops.flip(3)])).mean(0).argmax())


if __name__ == "__main__":
    main()
