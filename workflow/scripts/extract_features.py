"""Write the features of all videos of a data set by one model."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at, params = snakemake.wildcards, snakemake.params
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"features {at.dataset} {at.experiment} split {at.split} {at.modality}", gpus
):
    from tsn.config.fields import build
    from tsn.config.schema import FeaturesConfig
    from tsn.evaluation.features import extract_features

    files = snakemake.input
    extract_features(
        snakemake.output.features,
        (files.model, files.index, list(files.shards)),
        build(FeaturesConfig, params.features),
        params.crop_size,
        snakemake.threads,
        params.engine,
    )
