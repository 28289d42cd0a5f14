"""Score the training videos that were held out from a model's training."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at, params = snakemake.wildcards, snakemake.params
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"held out {at.dataset} {at.experiment} split {at.split} {at.modality}", gpus
):
    from tsn.config.fields import build
    from tsn.config.schema import TestConfig
    from tsn.datasets.index import members, read_index
    from tsn.evaluation.protocol import score
    from tsn.evaluation.scores import write_scores
    from tsn.training.validation import hold_out

    files, split = snakemake.input, int(at.split)
    training = members(read_index(files.index), split, "train")
    _, videos = hold_out(training, params.validation, params.seed)
    test = build(TestConfig, params.test)
    where = files.model, files.index, list(files.shards)
    how = params.precision, params.frame_rate
    scores = score(*where, split, test, snakemake.threads, videos, *how)
    write_scores(snakemake.output.scores, scores)
