"""Put all splits and their mean into one JSON and one table."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"summarise {at.dataset} {at.experiment}"):
    from tsn.evaluation.summary import Sources, summarise
    from tsn.report.markdown import summary_markdown
    from tsn.runtime.files import write_json, write_text

    sources = Sources(
        at.dataset,
        at.experiment,
        snakemake.params.layout,
        snakemake.params.blocks,
        list(snakemake.input.splits),
        list(snakemake.input.scores),
        snakemake.input.quarantine,
        f"results/{at.dataset}/benchmarks",
        snakemake.params.owners,
    )
    summary = summarise(sources)
    write_json(snakemake.output.json, summary)
    write_text(snakemake.output.table, summary_markdown(summary))
