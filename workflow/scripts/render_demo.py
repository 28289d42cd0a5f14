"""Render the demo videos and write their manifest."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], "render_demo"):
    from pathlib import Path

    from tsn.datasets.demo import render_dataset

    render_dataset(
        Path(snakemake.output.manifest), snakemake.params.dataset, threads=snakemake.threads
    )
