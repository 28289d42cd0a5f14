# in:  the scores of all experiments that a table compares
# out: results/tables/{table}_{dataset}.md, .json    ours beside the published figures
#      results/tables/flow_{dataset}.md, .json       the same network on the flow of other algorithms
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


rule fill_flow_table:
    """Compare data sets that differ in their flow alone: accuracy, and cost of a pair of frames."""
    input:
        index=f"{DATASET}/index.tsv",
        scores=flow_table_scores,
        shards=lambda wc: [
            f"{RESULTS}/{row['dataset']}/shards/flow/{shard}.h5"
            for row in flow_table_plan(wc)["rows"]
            for shard in shard_lists.shards(row["dataset"])
        ],
    output:
        json=f"{RESULTS}/tables/flow_{{dataset}}.json",
        table=f"{RESULTS}/tables/flow_{{dataset}}.md",
    log:
        f"{DATASET}/logs/fill_flow_table.log",
    benchmark:
        f"{DATASET}/benchmarks/fill_flow_table/all.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("fill_flow_table"),
        plan=flow_table_plan,
    script:
        "../scripts/fill_flow_table.py"
