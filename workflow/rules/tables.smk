# in:  the scores of all experiments that a table compares
# out: results/tables/{table}_{dataset}.md, .json    ours beside the published figures
#
# Experiments that train the same network share it: see tsn/config/experiments.py.


rule fill_table:
    """Fill one of the paper's tables with our accuracies beside the published ones."""
    input:
        index=f"{DATASET}/index.tsv",
        scores=lambda wc: table_inputs(table_plan(wc), RESULTS),
    output:
        json=f"{RESULTS}/tables/{{table}}_{{dataset}}.json",
        table=f"{RESULTS}/tables/{{table}}_{{dataset}}.md",
    log:
        f"{DATASET}/logs/fill_table/{{table}}.log",
    benchmark:
        f"{DATASET}/benchmarks/fill_table/{{table}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("fill_table"),
        plan=table_plan,
    script:
        "../scripts/fill_table.py"
