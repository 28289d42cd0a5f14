"""Score the test videos of one split with one model."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"test {at.dataset} {at.experiment} split {at.split} {at.modality}"):
    from tsn.config import TestConfig, build
    from tsn.evaluation.protocol import evaluate

    evaluate(
        snakemake.input.model,
        snakemake.input.index,
        list(snakemake.input.shards),
        int(at.split),
        build(TestConfig, snakemake.params.test),
        snakemake.threads,
        snakemake.output.scores,
        snakemake.output.metrics,
    )
