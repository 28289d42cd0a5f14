"""Compute the TV-L1 flow of the videos of one shard."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
gpus = snakemake.resources.get("gpu", 0)

with job(snakemake.log[0], f"flow {snakemake.wildcards.dataset} {snakemake.wildcards.shard}", gpus):
    from tsn.config.fields import build
    from tsn.config.frame_folders import FrameFolders
    from tsn.config.schema import FlowConfig
    from tsn.flow.build import build_flow_shard
    from tsn.shards.lists import read_list
    from tsn.video import FrameSize

    build_flow_shard(
        snakemake.output.shard,
        read_list(*snakemake.params.videos),
        build(FrameSize, snakemake.params.size),
        build(FlowConfig, snakemake.params.flow),
        snakemake.threads,
        snakemake.params.max_frames,
        build(FrameFolders | None, snakemake.params.folders),
    )
