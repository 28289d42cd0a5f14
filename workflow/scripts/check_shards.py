"""Check the files of one stream, and list its videos that cannot be used."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"check {snakemake.wildcards.dataset} {snakemake.wildcards.stream}"):
    from tsn.datasets.index import check_unchanged, read_index
    from tsn.shards.hdf5 import check_whole
    from tsn.shards.quarantine import check_stream
    from tsn.shards.store import ShardSet

    check_unchanged(snakemake.input.index)
    check_whole(snakemake.input.shards)
    check_stream(
        snakemake.output.quarantine,
        ShardSet(snakemake.input.shards),
        read_index(snakemake.input.index),
        snakemake.params.max_quarantined,
    )
