"""Draw accuracies, classes, confusions, training curves and run times of an experiment."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], f"draw {snakemake.wildcards.dataset} {snakemake.wildcards.experiment}"):
    from tsn.report.results import draw_results

    files = snakemake.input
    draw_results(
        files.summary, files.index, files.scores, files.logs, dict(snakemake.output.items())
    )
