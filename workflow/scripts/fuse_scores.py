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
    from tsn.evaluation.calibration import calibration_of, fit_fusion
    from tsn.evaluation.fusion import fuse_split, merge_experiments
    from tsn.evaluation.scores import read_scores
    from tsn.report.confusion import draw_confusion
    from tsn.runtime.files import write_json

    block = dict(snakemake.params.fusion)
    if snakemake.input.weights:
        text = Path(snakemake.input.weights).read_text(encoding="utf-8")
        block["weights"] = json.loads(text)["weights"]
    fusion = build(FusionConfig, block)
    scores, held_out = (
        merge_experiments([read_scores(path, fusion.pooling) for path in paths], fusion.fuse)
        for paths in (snakemake.input.scores, snakemake.input.held_out)
    )
    index, number, weights = read_index(snakemake.input.index), int(at.split), fusion.chosen_weights
    result = fuse_split(scores, fusion, index, number, at.experiment)
    split = predictions.predict_split(scores, weights, index, fusion.fuse)
    if held_out:
        temperature = fit_fusion(held_out, weights, index, number, fusion.fuse)
        result["calibration"] = calibration_of(split, temperature)
    predictions.write_confusion(files.confusion, split)
    predictions.write_per_class(files.per_class, result)
    predictions.write_videos(files.videos, split)
    draw_confusion(files.figure, predictions.confusion_matrix([split]), split.classes)
    write_json(files.fusion, {**result, **predictions.describe(split)})
