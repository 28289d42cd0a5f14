"""Score the test videos of one split with one model."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"test {at.dataset} {at.experiment} split {at.split} {at.modality}", gpus
):
    from tsn.config.fields import build
    from tsn.config.schema import TestConfig
    from tsn.evaluation.protocol import score, write_evaluation

    files = snakemake.input
    test = build(TestConfig, snakemake.params.test)
    scores = score(
        files.model,
        files.index,
        list(files.shards),
        int(at.split),
        test,
        snakemake.threads,
        precision=snakemake.params.precision,
        frame_rate=snakemake.params.frame_rate,
    )
    write_evaluation(scores, files.index, snakemake.output.scores, snakemake.output.metrics)
