"""Fill a table of experiments, as JSON and as Markdown."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards

with job(snakemake.log[0], f"table {at.table} {at.dataset}"):
    from tsn.report.markdown import table_markdown
    from tsn.report.table_fill import fill_table
    from tsn.runtime.files import write_json, write_text

    table = fill_table(snakemake.params.plan, snakemake.input.index, "results")
    write_json(snakemake.output.json, table)
    write_text(snakemake.output.table, table_markdown(table))
