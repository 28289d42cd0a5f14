"""The test: 25 snippets x 10 crops per video, or one snippet a second; pooled before softmax."""

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tsn.config.schema import TestConfig
from tsn.config.tvl1_params import variant_of
from tsn.data.dataset import TestSnippets
from tsn.data.loader import make_loader
from tsn.data.transforms import mirrored_labels
from tsn.datasets.index import class_names, members, multi_label, read_index
from tsn.datasets.labels import labels_of
from tsn.datasets.records import Video
from tsn.evaluation.engine import Scorer
from tsn.evaluation.metrics import MEASURES, main_measure, metrics
from tsn.evaluation.pooling import pool_crops
from tsn.evaluation.scores import Scores, write_scores
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of, write_json
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.runtime.progress import track
from tsn.shards.store import ShardSet, differing_key
from tsn.training.checkpoint import ModelInfo, load_model
from tsn.training.device import prepare
from tsn.video.errors import VideoError
from tsn.video.isolation import probe

BATCH = {"cpu": 8, "cuda": 512}
"""Crops per forward pass; on a CPU so few that activations stay in its cache."""

logger = logging.getLogger("tsn")


@oom_as_user_error("run fewer jobs at a time, or on a GPU with more")
def score(
    model_file: Path | str,
    index: Path | str,
    shards: list[str],
    split: int,
    test: TestConfig,
    threads: int,
    videos: list[Video] | None = None,
    precision: str = "auto",
    frame_rate: float | None = None,
) -> Scores:
    """Score every usable video of a list.

    Args:
        model_file: what `train` wrote.
        index: index.tsv.
        shards: all of the modality's stream.
        split: the model's.
        test: how.
        threads: of the CPU.
        videos: which ones; None for the test videos of the split.
        precision: of the network, see `TrainingConfig`.
        frame_rate: of folders of images, in frames per second.

    Raises:
        UserError: if the model was trained on another split, other classes or other shards, or
            its scores are not finite, or memory is full.
    """
    device = prepare(threads)
    network, info = load_model(model_file)
    known = read_index(index)
    store = ShardSet(shards)
    _check_match(model_file, info, split, class_names(known), store)
    chosen = members(known, split, "test") if videos is None else videos
    usable = [video for video in chosen if store.usable(video.id)]
    if not usable:
        part = "test" if videos is None else "held-out"
        raise UserError(
            f"split {split}: every {part} video is quarantined in the {store.stream} shards"
        )
    if frame_rate is None:
        rates = frame_rates(usable, "test.protocol: dense" if test.protocol == "dense" else "")
    else:
        rates = [frame_rate] * len(usable)
    about = test, info.input_size, rates, info.snippet_length
    snippets = TestSnippets(store, usable, info.modality, *about)
    network = network.to(memory_format=torch.channels_last).to(device)
    loader = make_loader(snippets, device, threads, batch_size=None)
    what = f"test {info.modality} split {split}"
    scorer = Scorer(network, device, test.engine, precision)
    mirrored = mirrored_labels(info.swap, info.classes)
    items = score_videos(scorer, loader, snippets, device, mirrored)
    scored = track(join_items(items, snippets.counts), len(usable), "videos", what)
    pooled, means, maxima = [], [], []
    for video in scored:
        pooled.append(pool_crops(video, test.pooling, test.stride))
        means.append(video.mean(1).float().cpu())
        if test.protocol == "dense":
            maxima.append(video.amax(1).float().cpu())
    values = np.stack(pooled).astype(np.float32)
    if not np.isfinite(values).all():
        raise UserError(f"{model_file}: gives scores that are not finite; train it again")
    starts = [snippets.starts(number) for number in range(len(usable))]
    times = [start / rate for start, rate in zip(starts, rates, strict=True)]
    return Scores(
        info.dataset,
        info.experiment,
        split,
        info.modality,
        tuple(video.id for video in usable),
        labels_of(usable, len(info.classes), multi_label(known)),
        values,
        info.classes,
        sha256_of(model_file),
        store.fingerprint,
        {key: value for key, value in asdict(test).items() if key != "engine"},
        torch.cat(means).numpy(),
        torch.cat(maxima).numpy() if maxima else None,
        np.array(snippets.counts, np.int32),
        np.concatenate(starts).astype(np.int32),
        np.concatenate(times),
        scorer.engine or "torch",
        info.loss,
    )


def frame_rates(videos: list[Video], needed_by: str = "") -> list[float]:
    """Frames per second of videos, as their files say; NaN for a file that is not there any more.

    Args:
        videos: any.
        needed_by: the key of the configuration that cannot do without, if one does.

    Raises:
        UserError: the rate of one is needed and not known.
    """
    rates = []
    for video in videos:
        try:
            rates.append(float(probe(video.path, count=False)[1]))
        except VideoError as error:
            if needed_by:
                raise UserError(
                    f"{error}; {needed_by} needs its frame rate: bring the file back, set "
                    "frame_folders.frame_rate if it is a folder of images, or do without it"
                ) from None
            rates.append(math.nan)
    return rates


@torch.inference_mode()
def score_videos(
    scorer: Scorer,
    loader: Iterable[torch.Tensor],
    snippets: TestSnippets,
    device: torch.device,
    mirrored: list[int] | None = None,
) -> Iterator[torch.Tensor]:
    """Scores of every crop of every snippet, item by item.

    Passes of the network are filled with crops of several items.

    Args:
        scorer: of the network, on the device.
        loader: yields the items of `snippets`, or other snippets of its videos.
        snippets: says which crops to take.
        device: where to crop and score.
        mirrored: classes whose scores mirrored crops exchange, see `mirrored_labels`.

    Yields:
        float64 (snippets, crops, C), on the device, in the order of the loader.
    """
    awaited: deque[int] = deque()  # crops of the items without scores

    def crops() -> Iterator[torch.Tensor]:
        for item in loader:
            awaited.append(len(item) * snippets.crops_per_snippet)
            item = item.to(device, non_blocking=True)
            yield snippets.cut(item)

    scores = torch.empty(0, device=device)
    for batch in regroup(crops(), BATCH[device.type]):
        new = _scores_of(scorer, batch)
        scores = torch.cat([scores, new]) if len(scores) else new
        while awaited and len(scores) >= awaited[0]:
            item, scores = scores.tensor_split([awaited.popleft()])
            # Crop after crop.
            item = item.double().unflatten(0, (snippets.crops_per_snippet, -1)).transpose(0, 1)
            if mirrored:
                item[:, snippets.flipped] = item[:, snippets.flipped][..., mirrored]
            yield item


def join_items(items: Iterator[torch.Tensor], counts: Sequence[int]) -> Iterator[torch.Tensor]:
    """Concatenate the items of each video, which has so many snippets."""
    for count in counts:
        parts = [next(items)]
        while sum(map(len, parts)) < count:
            parts.append(next(items))
        yield torch.cat(parts)


def _scores_of(scorer: Scorer, crops: torch.Tensor) -> torch.Tensor:
    """Scores of crops: in two passes where the GPU's memory does not suffice for one, and so on."""
    try:
        return scorer(crops)
    except torch.OutOfMemoryError:
        if len(crops) == 1:
            raise
    halves = crops.split(-(-len(crops) // 2))
    return torch.cat([_scores_of(scorer, half) for half in halves])


def regroup(tensors: Iterable[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    """Rebatch tensors along the first axis into batches of `size`; the last may be smaller."""
    waiting, count = [], 0
    for tensor in tensors:
        waiting.append(tensor)
        count += len(tensor)
        if count >= size:
            *groups, rest = torch.cat(waiting).split(size)
            if len(rest) == size:
                groups, rest = [*groups, rest], rest[:0]
            yield from groups
            waiting, count = [rest], len(rest)
    if count:
        yield torch.cat(waiting)


def _check_match(
    model_file: Path | str, info: ModelInfo, split: int, classes: list[str], store: ShardSet
) -> None:
    if info.split != split:
        raise UserError(
            f"{model_file}: was trained on split {info.split} and may have seen the test videos of "
            f"split {split}; train it on that split"
        )
    if list(info.classes) != classes:
        raise UserError(
            f"{model_file}: was trained for other classes than the index has; train it again"
        )
    check_shards(model_file, info, store)


def check_shards(model_file: Path | str, info: ModelInfo, store: ShardSet) -> None:
    """Raise UserError if a model was trained on other shards; warn if that is not known."""
    if not info.shards:
        logger.warning(
            "%s: was imported and does not say how its %s was made; where it was made otherwise, "
            "accuracy is lost",
            model_file,
            store.stream,
        )
    elif info.shards.keys() == {"variant"}:
        wanted, made = info.shards["variant"], variant_of(store.fingerprint)
        if made != wanted:
            logger.warning(
                "%s: was imported and wants %s made with flow.variant: %s; these shards have %s, "
                "which costs accuracy",
                model_file,
                store.stream,
                wanted,
                made or "another method's",
            )
    elif info.shards != store.fingerprint:
        key = differing_key(info.shards, store.fingerprint)
        raise UserError(
            f"{model_file}: was trained on {store.stream} shards with {key} = "
            f"{info.shards.get(key)!r}, these have {store.fingerprint.get(key)!r}; "
            "make the shards alike or train it again"
        )


def write_evaluation(
    scores: Scores, index: Path | str, score_file: Path | str, metrics_file: Path | str
) -> None:
    """Write the scores, and their metrics as JSON.

    The metrics cover the scored videos and say how many were not; fusion counts those as wrong.
    """
    write_scores(score_file, scores)
    result = metrics(scores.values, scores.labels, scores.classes)
    not_scored = len(members(read_index(index), scores.split, "test")) - len(scores.ids)
    main = main_measure(result)
    logger.info("%s %.1f %% of %d videos", MEASURES[main], 100 * result[main], len(scores.ids))
    write_json(
        metrics_file,
        {
            "modality": scores.modality,
            "split": scores.split,
            "not_scored": not_scored,
            **result,
        },
    )
