"""Fuse the modalities' scores on one split."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"fuse {snakemake.wildcards.dataset} {snakemake.wildcards.experiment}"):
    from tsn.config import FusionConfig, build
    from tsn.data.index import read_index
    from tsn.evaluation.fusion import fuse_split
    from tsn.evaluation.scores import read_scores
    from tsn.files import write_json

    scores = [read_scores(path) for path in snakemake.input.scores]
    fusion = build(FusionConfig, snakemake.params.fusion)
    index = read_index(snakemake.input.index)
    at = snakemake.wildcards
    write_json(
        snakemake.output.fusion, fuse_split(scores, fusion, index, int(at.split), at.experiment)
    )
