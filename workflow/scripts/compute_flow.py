"""Compute the TV-L1 flow of the videos of one shard."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"flow {snakemake.wildcards.dataset} {snakemake.wildcards.shard}"):
    from tsn.config import FlowConfig
    from tsn.data.build import Source
    from tsn.flow.shard import build_flow_shard

    build_flow_shard(
        snakemake.output.shard,
        [Source(*video) for video in snakemake.params.videos],
        tuple(snakemake.params.size),
        FlowConfig.from_dict(snakemake.params.flow),
        snakemake.threads,
        snakemake.params.max_frames,
    )
