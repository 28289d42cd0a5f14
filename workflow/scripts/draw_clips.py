"""Draw frames, flow and warped flow of a few test videos."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"clips {snakemake.wildcards.dataset}"):
    from tsn.datasets.index import read_index
    from tsn.report.clips import draw_clips

    files, streams = snakemake.input, snakemake.params.streams
    shards = [[f for f in files.shards if f"/shards/{stream}/" in f] for stream in streams]
    index = read_index(files.index)
    draw_clips(snakemake.output.folder, index, snakemake.params.split, shards)
