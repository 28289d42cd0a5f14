"""Draw the training curves of one network."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"curves {at.dataset} {at.experiment} split {at.split} {at.modality}"):
    from tsn.report.curves import draw_curves, read_training

    training = read_training(snakemake.input.log, int(at.split), at.modality)
    draw_curves(snakemake.output.curves, [training])
