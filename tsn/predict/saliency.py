"""Where networks look: Grad-CAM (Selvaraju et al. 2017) of the most telling snippets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import nn

from tsn.data.transforms import test_crops
from tsn.datasets.index import read_index
from tsn.evaluation.protocol import frame_rates
from tsn.flow.draw import colour_code
from tsn.models.modality import FLOW_MODALITIES, FUSED, NAMES
from tsn.models.network import TSN
from tsn.predict.ensemble import Ensemble
from tsn.predict.moments import Moments, by_segments, moments_of
from tsn.predict.run import read_run
from tsn.predict.streams import StoredClip
from tsn.report.clips import read_strips
from tsn.report.style import NEUTRAL, colour, figure, printable
from tsn.runtime.errors import UserError
from tsn.shards.store import ShardSet

SHOWN = 3
"""Snippets of a figure."""


def draw_saliency(
    folder: Path,
    run_folder: Path,
    index: Path,
    clips: Path,
    shards: Sequence[Sequence[str]],
    threads: int,
    frame_rate: float | None = None,
) -> None:
    """Draw the figures of the clips of a report, from shards.

    Args:
        folder: gets a PNG, named as its strip, for each clip that all streams have.
        run_folder: of a split, with its fusion.json.
        index: index.tsv.
        clips: where `tsn.report.clips.draw_clips` drew the strips.
        shards: files of each stream.
        threads: of the CPU.
        frame_rate: of folders of images.

    Raises:
        UserError: as `write_saliency`, or the frame rate of a clip is not known.
    """
    run = read_run(run_folder)
    ensemble = Ensemble(run, by_segments(run.protocol), threads=threads, decodes=False)
    stores = {store.stream: store for store in map(ShardSet, shards)}
    videos = {video.id: video for video in read_index(index)}
    folder.mkdir(parents=True, exist_ok=True)
    for strip in read_strips(clips):
        if not all(store.usable(strip.id) for store in stores.values()):
            continue  # the clips are usable in the streams of the experiment that is published
        rate = frame_rate or frame_rates([videos[strip.id]], "report.saliency")[0]
        moments = moments_of(ensemble, strip.id, StoredClip(stores, strip.id), rate)
        write_saliency(folder / f"{strip.stem}.png", moments, ensemble)


def write_saliency(path: Path, moments: Moments, ensemble: Ensemble) -> None:
    """Write the most telling snippets with what each network looks at, above all snippets' leads.

    Raises:
        UserError: a network has no map of features.
    """
    chosen = moments.telling(SHOWN)
    label = int(moments.prediction.fused.argmax())
    modalities = [*moments.starts]
    heights = [1.0] * len(modalities) + [0.45]
    with figure(
        path, 2.3 * len(chosen), 2.3 * sum(heights), len(heights), len(chosen),
        squeeze=False, height_ratios=heights,
    ) as grid:  # fmt: skip
        for row, modality in zip(grid, modalities, strict=False):
            network, _ = ensemble.networks[modality]
            snippets = central_crops(ensemble, moments, modality, chosen)
            heat = grad_cam(network, snippets, label)
            for axes, snippet, spot, number in zip(row, snippets, heat, chosen, strict=True):
                axes.imshow(picture_of(snippet, modality))
                axes.imshow(spot, cmap="inferno", alpha=0.45, vmin=0, vmax=1)
                axes.set_axis_off()
                axes.set_title(f"{NAMES[modality]}, {moments.times[number]:.1f} s", fontsize=8)
        strip = grid[-1, 0].get_gridspec()
        for axes in grid[-1]:
            axes.remove()
        axes = grid[0, 0].figure.add_subplot(strip[len(heights) - 1, :])
        draw_leads(axes, moments, printable(ensemble.classes[label], 40), chosen)


def draw_leads(axes: Axes, moments: Moments, answer: str, chosen: list[int]) -> None:
    """Draw how much each snippet adds to the answer's lead over the second class."""
    times, leads = moments.times, moments.leads
    # Snippets of a short video may start at the same frame.
    width = max(0.8 * float(np.diff(times).min()), 0.1) if len(times) > 1 else 0.1
    bars = axes.bar(times, leads, width, color=[colour(FUSED) if v > 0 else NEUTRAL for v in leads])
    for number in chosen:
        bars[number].set_edgecolor("black")
    axes.set_xlabel("seconds")
    axes.set_title(f"share of each snippet in the lead of {answer}", fontsize=8)


def central_crops(
    ensemble: Ensemble, moments: Moments, modality: str, chosen: list[int]
) -> torch.Tensor:
    """Central crops of snippets, (n, C, side, side), as the network takes them."""
    items = ensemble.snippets(moments.clip, modality)
    side = ensemble.networks[modality][1].input_size
    whole = items.snippets(0, moments.starts[modality][chosen])
    height, width = whole.shape[-2:]
    (crop,) = test_crops((width, height), side, 1)
    return whole[..., crop.y : crop.y + side, crop.x : crop.x + side]


def picture_of(snippet: torch.Tensor, modality: str) -> np.ndarray:
    """A snippet (C, H, W) for people: its middle field, its frame, or its middle difference."""
    planes = snippet.numpy()
    if modality in FLOW_MODALITIES:
        middle = len(planes) // 4 * 2
        return colour_code(planes[middle : middle + 2].astype(np.float32) - 128)
    if modality == "rgb":
        return planes.transpose(1, 2, 0)
    middle = len(planes) // 6 * 3
    difference = planes[middle : middle + 3].transpose(1, 2, 0) // 2 + 128
    return difference.clip(0, 255).astype(np.uint8)


def grad_cam(network: TSN, snippets: torch.Tensor, label: int) -> np.ndarray:
    """How much each place of snippets speaks for a class: float (n, side, side), 0…1.

    The largest value of all snippets is 1. The map of features is the one that is averaged over
    space before the classifier.

    Args:
        network: in evaluation mode.
        snippets: (n, C, side, side), uint8 or int16.
        label: of the class.

    Raises:
        UserError: captum is not installed, or the network has no map of features, as a ViT.
    """
    try:
        from captum.attr import LayerAttribution, LayerGradCam
    except ImportError:
        raise UserError("saliency needs captum: pip install 'tsn[saliency]'") from None
    images = snippets.float().to(next(network.parameters()).device)
    layer, take_input = _feature_map(network, images[:1])
    attribution = LayerGradCam(network.snippet_scores, layer).attribute(
        images, label, attribute_to_layer_input=take_input, relu_attributions=True
    )
    heat = LayerAttribution.interpolate(attribution, tuple(images.shape[-2:]), "bilinear")
    found = heat[:, 0].detach().cpu().numpy()
    return found / max(float(found.max()), np.finfo(np.float32).tiny)


def _feature_map(network: TSN, image: torch.Tensor) -> tuple[nn.Module, bool]:
    """The last pooling to one value a channel, whose input it is; or else the last convolution."""
    pooling: list[nn.Module] = []
    convolutions: list[nn.Module] = []

    def look(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        given = inputs[0]
        if given.ndim != 4 or min(given.shape[-2:]) == 1:
            return
        if isinstance(module, nn.Conv2d):
            convolutions.append(module)
        elif output.shape[1] == given.shape[1] and output.shape[2:].numel() == 1:
            pooling.append(module)

    leaves = [module for module in network.net.modules() if not [*module.children()]]
    hooks = [module.register_forward_hook(look) for module in leaves]
    try:
        with torch.no_grad():
            network.snippet_scores(image)
    finally:
        for hook in hooks:
            hook.remove()
    if pooling:
        return pooling[-1], True
    if len(convolutions) > 1:
        return convolutions[-1], False
    raise UserError("this network has no map of features that Grad-CAM could show")
