"""List the videos of one stream that cannot be used; stop if there are too many."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"check {snakemake.wildcards.dataset} {snakemake.wildcards.stream}"):
    from tsn.data.index import read_index
    from tsn.data.quarantine import check_stream
    from tsn.data.shard_set import ShardSet

    check_stream(
        snakemake.output.quarantine,
        ShardSet(snakemake.input.shards),
        read_index(snakemake.input.index),
        snakemake.params.max_quarantined,
    )
