"""Fuse the modalities' scores on one split, and show what lies behind the accuracies."""

import json
from pathlib import Path

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at, files = snakemake.wildcards, snakemake.output

with job(snakemake.log[0], f"fuse {at.dataset} {at.experiment}"):
    from tsn.config.schema import FusionConfig, build
    from tsn.datasets.index import read_index
    from tsn.evaluation import details
    from tsn.evaluation.answers import answers, confusion
    from tsn.evaluation.fusion import fuse_split
    from tsn.evaluation.scores import read_scores
    from tsn.report.confusion import draw_confusion
    from tsn.runtime.files import write_json

    scores = [read_scores(path) for path in snakemake.input.scores]
    block = dict(snakemake.params.fusion)
    if snakemake.input.weights:
        block["weights"] = json.loads(Path(snakemake.input.weights).read_text())["weights"]
    fusion = build(FusionConfig, block)
    index = read_index(snakemake.input.index)
    result = fuse_split(scores, fusion, index, int(at.split), at.experiment)
    given = answers(scores, fusion.weights, index, fusion.level)
    details.write_confusion(files.confusion, given)
    details.write_per_class(files.per_class, given)
    details.write_videos(files.videos, given)
    draw_confusion(files.picture, confusion([given]), given.classes)
    write_json(files.fusion, {**result, **details.describe(given)})
