"""Decode the videos of one shard to JPEG frames."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"decode {snakemake.wildcards.dataset} {snakemake.wildcards.shard}"):
    from tsn.config.fields import build
    from tsn.config.frame_folders import FrameFolders
    from tsn.config.schema import FramesConfig
    from tsn.shards.build import build_rgb_shard
    from tsn.shards.lists import read_list

    build_rgb_shard(
        snakemake.output.shard,
        read_list(*snakemake.params.videos),
        build(FramesConfig, snakemake.params.frames),
        snakemake.params.max_frames,
        build(FrameFolders | None, snakemake.params.folders),
    )
