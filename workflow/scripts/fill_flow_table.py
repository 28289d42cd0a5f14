"""Fill the table of flow algorithms, as JSON and as Markdown."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
files, plan = snakemake.input, snakemake.params.plan

with job(snakemake.log[0], f"table of flow algorithms {snakemake.wildcards.dataset}"):
    from tsn.report.flow_table import fill_flow_table, flow_table_markdown
    from tsn.runtime.files import write_json, write_text

    names = [row["dataset"] for row in plan["rows"]]
    shards = {n: [f for f in files.shards if f.startswith(f"results/{n}/")] for n in names}
    table = fill_flow_table(plan, files.index, shards, "results")
    write_json(snakemake.output.json, table)
    write_text(snakemake.output.table, flow_table_markdown(table))
