"""From the files of an experiment to its figures and its page."""

import json
from itertools import groupby
from pathlib import Path

from tsn.datasets.index import read_index
from tsn.evaluation.calibration import calibration_of
from tsn.evaluation.fusion import merge_experiments
from tsn.evaluation.predictions import SplitPredictions, confusion_matrix, predict_split
from tsn.evaluation.scores import read_scores
from tsn.report.accuracies import draw_accuracies
from tsn.report.calibration import draw_calibration
from tsn.report.classes import draw_classes
from tsn.report.clips import read_strips
from tsn.report.confusion import draw_confusion
from tsn.report.curves import draw_curves, read_training
from tsn.report.motion import read_motion
from tsn.report.page import Content, render
from tsn.report.times import draw_times
from tsn.runtime.files import write_text

FIGURES = ("accuracies", "calibration", "classes", "confusion", "curves", "times")


def draw_results(
    summary: str, index: str, scores: list[str], logs: list[str], figures: dict[str, str]
) -> None:
    """Draw all figures of an experiment except the clips.

    Args:
        summary: its fusion.json.
        index: index.tsv.
        scores: score files of all modalities on all splits.
        logs: training.csv of each of them, in the same order.
        figures: files to write, by the names in `FIGURES`.

    Raises:
        UserError: if a file is damaged or does not match the others.
    """
    result = _read(summary)
    splits = predictions_of(result, index, scores)
    draw_accuracies(figures["accuracies"], result)
    temperatures = [split.get("calibration", {}).get("temperature") for split in result["splits"]]
    draw_calibration(figures["calibration"], list(map(calibration_of, splits, temperatures)))
    draw_classes(figures["classes"], result["splits"])
    draw_confusion(figures["confusion"], confusion_matrix(splits), splits[0].classes)
    draw_times(figures["times"], result["wall_time"])
    whose = map(read_scores, scores)
    trainings = [
        read_training(log, of.split, of.modality) for log, of in zip(logs, whose, strict=True)
    ]
    draw_curves(figures["curves"], trainings)


def write_page(
    page: str,
    summary: str,
    index: str,
    scores: list[str],
    figures: dict[str, str],
    clips: str,
    saliency: str | None = None,
) -> None:
    """Write the page of an experiment from what `draw_results` and `draw_clips` drew.

    `saliency` is what `tsn.predict.saliency.draw_saliency` drew of the clips.
    """
    result = _read(summary)
    content = Content(
        result,
        predictions_of(result, index, scores),
        {name: Path(file) for name, file in figures.items()},
        read_strips(clips),
        Path(clips),
        list(Path(saliency).glob("*.png")) if saliency else [],
        read_motion(Path(clips) / "motion.json"),
    )
    write_text(page, render(content))


def predictions_of(summary: dict, index: str, scores: list[str]) -> list[SplitPredictions]:
    """The predictions on each split, in the order of the splits."""
    videos = read_index(Path(index))
    read = sorted(map(read_scores, scores), key=lambda entry: entry.split)
    by_split = {split: list(group) for split, group in groupby(read, lambda entry: entry.split)}
    predictions = []
    for split in summary["splits"]:
        pooling, of = split["protocol"].get("pooling"), split["fused"]["fuse"]
        pooled = [scores.repooled(pooling) for scores in by_split[split["split"]]]
        merged = merge_experiments(pooled, of)
        predictions.append(predict_split(merged, split["fused"]["weights"], videos, of))
    return predictions


def _read(path: str) -> dict:
    return json.loads(Path(path).read_text(encoding="utf-8"))
