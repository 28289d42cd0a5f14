"""Write the index of a data set and say what was found."""

from pathlib import Path

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"index {snakemake.wildcards.dataset}"):
    from tsn.datasets.build_index import index_dataset

    index_dataset(
        snakemake.params.dataset,
        Path("results"),
        snakemake.params.missing,
        snakemake.params.invalid_rows,
        Path(snakemake.output.index),
        Path(snakemake.output.report),
    )
