"""Write the page that shows a whole run."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"report {at.dataset} {at.experiment}"):
    from tsn.report.results import FIGURES, write_page

    files = snakemake.input
    figures = {name: files[name] for name in FIGURES}
    write_page(
        snakemake.output.page,
        files.summary,
        files.index,
        files.scores,
        figures,
        files.clips,
        files.saliency or None,
    )
