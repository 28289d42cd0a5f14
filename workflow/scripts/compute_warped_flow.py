"""Compute the warped flow of one shard from its videos and its flow."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"warped flow {snakemake.wildcards.dataset} {snakemake.wildcards.shard}", gpus
):
    from tsn.config.fields import build
    from tsn.config.frame_folders import FrameFolders
    from tsn.config.schema import FlowConfig
    from tsn.flow.build_warped import build_warped_shard
    from tsn.shards.lists import read_list

    build_warped_shard(
        snakemake.output.shard,
        snakemake.input.flow,
        read_list(*snakemake.params.videos),
        build(FlowConfig, snakemake.params.flow),
        snakemake.threads,
        snakemake.params.max_frames,
        build(FrameFolders | None, snakemake.params.folders),
    )
