"""Compute the TV-L1 flow of the videos of one shard."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake
gpus = snakemake.resources.get("gpu", 0)

with job(snakemake.log[0], f"flow {snakemake.wildcards.dataset} {snakemake.wildcards.shard}", gpus):
    from tsn.config import FlowConfig
    from tsn.data.build import Source
    from tsn.data.shard_lists import read_list
    from tsn.flow.shard import build_flow_shard

    build_flow_shard(
        snakemake.output.shard,
        [Source(*video) for video in read_list(*snakemake.params.videos)],
        tuple(snakemake.params.size),
        FlowConfig.from_dict(snakemake.params.flow),
        snakemake.threads,
        snakemake.params.max_frames,
    )
