"""Train one modality on one split."""

from pathlib import Path

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"train {at.dataset} {at.experiment} split {at.split} {at.modality}"):
    from tsn.config import ModelConfig, TrainingConfig, build
    from tsn.training.train import TrainingJob, train

    model = build(ModelConfig, snakemake.params.model)
    recipe = build(TrainingConfig, snakemake.params.recipe)
    what = TrainingJob(
        at.dataset, at.experiment, int(at.split), at.modality, snakemake.params.seed, model, recipe
    )
    files = Path(snakemake.output.model), Path(snakemake.output.log)
    train(what, snakemake.input.index, list(snakemake.input.shards), *files, snakemake.threads)
