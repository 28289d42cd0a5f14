"""Compute the warped flow of one shard from its videos and its flow."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"warped flow {snakemake.wildcards.dataset} {snakemake.wildcards.shard}", gpus
):
    from tsn.config import FlowConfig
    from tsn.data.build import Source
    from tsn.data.shard_lists import read_list
    from tsn.flow.warped_shard import build_warped_shard

    build_warped_shard(
        snakemake.output.shard,
        snakemake.input.flow,
        [Source(*video) for video in read_list(*snakemake.params.videos)],
        FlowConfig.from_dict(snakemake.params.flow),
        snakemake.threads,
    )
