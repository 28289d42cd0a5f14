"""Merge the quarantine lists of all streams."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"quarantine {snakemake.wildcards.dataset}"):
    from tsn.shards.quarantine import merge_streams

    merge_streams(snakemake.output.quarantine, list(snakemake.input.streams))
