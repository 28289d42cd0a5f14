# in:  the scores of all modalities
# out: results/{dataset}/{experiment}/split{N}/fusion.json    one split
#      …/split{N}/weights.json                                fusion.weights: search — what was chosen, and on how much
#      …/split{N}/per_class.tsv, videos.tsv                   accuracy per class; every test video and its predictions
#      …/split{N}/confusion.json, .png                        the fusion's confusion matrix
#      results/{dataset}/{experiment}/fusion.json, .md        all splits and their mean
#      results/fusion_{dataset}.json, .md, .html              the same of the experiment that the config names,
#                                                             with the page of report.smk


rule search_weights:
    """Choose the fusion weights of a split on its held-out training videos."""
    input:
        index=f"{DATASET}/index.tsv",
        scores=lambda wc: run_files(
            wc,
            [wc.split],
            settings(wc.dataset, wc.experiment).modalities,
            "held_out.h5",
        ),
    output:
        weights=f"{RUN}/weights.json",
    log:
        f"{DATASET}/logs/search_weights/{{experiment}}.split{{split}}.log",
    benchmark:
        f"{DATASET}/benchmarks/search_weights/{{experiment}}.split{{split}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("search_weights"),
        fuse=lambda wc: settings(wc.dataset, wc.experiment).fusion.fuse,
        pooling=lambda wc: settings(wc.dataset, wc.experiment).fusion.pooling,
    script:
        "../scripts/search_weights.py"


rule fuse_scores:
    """Fuse the scores of all modalities on one split."""
    input:
        weights=searched_weights,
        held_out=calibration_scores,
        index=f"{DATASET}/index.tsv",
        scores=lambda wc: run_files(wc, [wc.split], settings(wc.dataset, wc.experiment).modalities),
    output:
        fusion=f"{RUN}/fusion.json",
        per_class=f"{RUN}/per_class.tsv",
        videos=f"{RUN}/videos.tsv",
        confusion=f"{RUN}/confusion.json",
        figure=f"{RUN}/confusion.png",
    log:
        f"{DATASET}/logs/fuse_scores/{{experiment}}.split{{split}}.log",
    benchmark:
        f"{DATASET}/benchmarks/fuse_scores/{{experiment}}.split{{split}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("fuse_scores"),
        fusion=lambda wc: plain(settings(wc.dataset, wc.experiment).fusion),
    script:
        "../scripts/fuse_scores.py"


rule summarise_fusion:
    """Put all splits of an experiment and their mean into one JSON and a table."""
    input:
        splits=lambda wc: expand(
            f"{RUN}/fusion.json", **wc, split=settings(wc.dataset).dataset.splits
        ),
        scores=all_scores,
        index_report=f"{DATASET}/index.txt",
        quarantine=f"{DATASET}/quarantine.tsv",
    output:
        json=f"{DATASET}/{{experiment}}/fusion.json",
        table=f"{DATASET}/{{experiment}}/fusion.md",
    log:
        f"{DATASET}/logs/summarise_fusion/{{experiment}}.log",
    benchmark:
        f"{DATASET}/benchmarks/summarise_fusion/{{experiment}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("summarise_fusion"),
        layout=lambda wc: settings(wc.dataset).dataset.layout,
        blocks=lambda wc: settings(wc.dataset, wc.experiment).blocks,
        owners=lambda wc: {
            stage: {
                modality: [
                    owner_of(wc.dataset, experiment, modality)
                    for experiment in settings(wc.dataset, wc.experiment).fused
                ]
                for modality in settings(wc.dataset, wc.experiment).modalities
            }
            for stage, owner_of in (
                ("train_model", configuration.trained_by),
                ("score_videos", configuration.scored_by),
                ("score_held_out", configuration.scored_by),
            )
        },
    script:
        "../scripts/summarise_fusion.py"


rule publish_fusion:
    """Copy the results of the experiment that the configuration names to the top of results/."""
    input:
        json=lambda wc: f"{RESULTS}/{wc.dataset}/{configuration.experiment}/fusion.json",
        table=lambda wc: f"{RESULTS}/{wc.dataset}/{configuration.experiment}/fusion.md",
        page=lambda wc: f"{RESULTS}/{wc.dataset}/{configuration.experiment}/report/report.html",
    output:
        json=f"{RESULTS}/fusion_{{dataset}}.json",
        table=f"{RESULTS}/fusion_{{dataset}}.md",
        page=f"{RESULTS}/fusion_{{dataset}}.html",
    log:
        f"{DATASET}/logs/publish_fusion.log",
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    shell:
        "(cp {input.page:q} {output.page:q} && cp {input.table:q} {output.table:q} && "
        "cp {input.json:q} {output.json:q}) 2> {log:q}"
