"""Fuse the modalities' scores on one split, and write per-class and per-video results."""

import json
from pathlib import Path

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at, files = snakemake.wildcards, snakemake.output

with job(snakemake.log[0], f"fuse {at.dataset} {at.experiment}"):
    from tsn.config.fields import build
    from tsn.config.schema import FusionConfig
    from tsn.datasets.index import read_index
    from tsn.evaluation import predictions
    from tsn.evaluation.fusion import fuse_split
    from tsn.evaluation.scores import read_scores
    from tsn.report.confusion import draw_confusion
    from tsn.runtime.files import write_json

    block = dict(snakemake.params.fusion)
    if snakemake.input.weights:
        text = Path(snakemake.input.weights).read_text(encoding="utf-8")
        block["weights"] = json.loads(text)["weights"]
    fusion = build(FusionConfig, block)
    scores = [read_scores(path, fusion.pooling) for path in snakemake.input.scores]
    index = read_index(snakemake.input.index)
    result = fuse_split(scores, fusion, index, int(at.split), at.experiment)
    split = predictions.predict_split(scores, fusion.chosen_weights, index, fusion.fuse)
    predictions.write_confusion(files.confusion, split)
    predictions.write_per_class(files.per_class, result)
    predictions.write_videos(files.videos, split)
    draw_confusion(files.figure, predictions.confusion_matrix([split]), split.classes)
    write_json(files.fusion, {**result, **predictions.describe(split)})
