"""Draw where the networks of an experiment look in the clips of its report."""

from pathlib import Path

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at, files = snakemake.wildcards, snakemake.input
gpus = snakemake.resources.get("gpu", 0)

with job(snakemake.log[0], f"saliency {at.dataset} {at.experiment} split {at.split}", gpus):
    from tsn.predict.saliency import draw_saliency

    streams = snakemake.params.streams
    draw_saliency(
        Path(snakemake.output.folder),
        Path(files.fusion).parent,
        Path(files.index),
        Path(files.clips),
        [[file for file in files.shards if f"/shards/{s}/" in file] for s in streams],
        snakemake.threads,
        snakemake.params.frame_rate,
    )
