"""Filling a table: from its plan and score files to accuracies with their spread."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from tsn.datasets.index import class_names, members, multi_label, read_index
from tsn.datasets.labels import labels_of
from tsn.datasets.records import Video
from tsn.evaluation.fusion import check_index, fuse, merge_experiments, threshold
from tsn.evaluation.metrics import MEASURES, main_measure, metrics
from tsn.evaluation.scores import Scores, read_scores
from tsn.report.table_plan import score_files, weights_file
from tsn.runtime.job import code_version


def fill_table(plan: dict, index: Path | str, results: str) -> dict:
    """Fill the cells of a table.

    Args:
        plan: from `plan_table`.
        index: `index.tsv` of the data set.
        results: the folder the score files lie in.

    Returns:
        The plan; "weights" that were searched for are means over the runs, and each cell has
        "ours" instead of "runs": None, or the measures of `tsn.evaluation.metrics` (means
        over splits and seeds, 0…1), "seeds" (how many), "spread" (sample standard deviation of
        the main one over the seeds; None for one), and "runs" with the measures of each. "tested"
        says by split how many videos of how many classes were tested.

    Raises:
        UserError: scores do not match one another, or the index.
    """
    reader = _Reader(read_index(index), plan["dataset"], results)
    rows = [
        {**row, "cells": [_fill_cell(cell, row, reader) for cell in row["cells"]]}
        for row in plan["rows"]
    ]
    tested = {
        str(split): {
            "videos": len(videos),
            "classes": len({n for video in videos for n in video.labels}),
        }
        for split, videos in reader.tested.items()
    }
    return {**plan, "rows": rows, "tested": tested, "code_version": code_version()}


class _Reader:
    """Accuracies of runs; each score file is read once."""

    def __init__(self, index: list[Video], dataset: str, results: str):
        self._index, self._dataset, self._results = index, dataset, results
        self._read = cache(self._checked)
        self.tested: dict[int, list[Video]] = {}

    def weights(self, run: dict) -> dict[str, float]:
        """The weights that were searched for a run."""
        path = Path(weights_file(run, self._dataset, self._results))
        return json.loads(path.read_text(encoding="utf-8"))["weights"]

    def accuracy(self, run: dict, weights: dict[str, float], row: dict) -> dict:
        split = run["split"]
        videos = self.tested.setdefault(split, members(self._index, split, "test"))
        paths = score_files(run, self._dataset, self._results)
        read = [self._read(path, split, row["pooling"]) for path in paths]
        scores = merge_experiments(read, row["fuse"])
        classes = tuple(class_names(self._index))
        labels = labels_of(videos, len(classes), multi_label(self._index))
        fused = fuse(scores, weights, videos, row["fuse"])
        found = metrics(fused, labels, classes, threshold(weights, row["fuse"]))
        return {name: found[name] for name in MEASURES if name in found}

    def _checked(self, path: str, split: int, pooling: str | None) -> Scores:
        scores = read_scores(path, pooling)
        check_index(scores, self._index, split)
        return scores


def _fill_cell(cell: dict, row: dict, reader: _Reader) -> dict:
    weights, runs = cell["weights"], []
    for run in cell["runs"]:
        own = reader.weights(run) if weights == "search" else weights
        runs.append({**run, "weights": own, **reader.accuracy(run, own, row)})
    ours = None
    if runs:
        seeds = sorted({run["seed"] for run in runs})
        main = main_measure(runs[0])
        by_seed = [[run[main] for run in runs if run["seed"] == seed] for seed in seeds]
        means = [float(np.mean(values)) for values in by_seed]
        ours = {
            **{m: float(np.mean([run[m] for run in runs])) for m in MEASURES if m in runs[0]},
            "seeds": len(seeds),
            "spread": float(np.std(means, ddof=1)) if len(means) > 1 else None,
            "runs": runs,
        }
        if weights == "search":
            names = runs[0]["weights"]
            weights = {n: float(np.mean([run["weights"][n] for run in runs])) for n in names}
    elif weights == "search":
        weights = {}
    return {"weights": weights, "published": cell["published"], "ours": ours}
