# in:  results/{dataset}/index.tsv, the shards of the modality's stream
# out: results/{dataset}/{experiment}/split{N}/{modality}/model.pt, training.csv
#      …/{modality}/curves.png    where it is asked for; the report shows those of all networks


rule train_model:
    """Train one network: of one modality, on one split."""
    input:
        index=f"{DATASET}/index.tsv",
        shards=modality_shards,
        quarantine=modality_quarantine,
    output:
        model=f"{RUN}/{{modality}}/model.pt",
        log=f"{RUN}/{{modality}}/training.csv",
    log:
        f"{DATASET}/logs/train_model/{{experiment}}.split{{split}}.{{modality}}.log",
    benchmark:
        f"{DATASET}/benchmarks/train_model/{{experiment}}.split{{split}}.{{modality}}.tsv"
    priority: 1  # the longest jobs: none should be left for the end, when all but one core are idle
    conda:
        "../envs/tsn.yaml"
    threads: network_threads()
    resources:
        gpu=network_gpus(),
        mem_mb=memory(16000),
        runtime=1440,
    params:
        code=lambda wc: code_of("train_model"),
        model=lambda wc: plain(owned(wc, configuration.trained_by).model(wc.modality)),
        recipe=lambda wc: plain(settings(wc.dataset, wc.experiment).training(wc.modality)),
        seed=lambda wc: settings(wc.dataset, wc.experiment).seed,
    script:
        "../scripts/train_model.py"


rule draw_curves:
    """Draw the loss and accuracy of a training."""
    input:
        log=f"{RUN}/{{modality}}/training.csv",
    output:
        curves=f"{RUN}/{{modality}}/curves.png",
    log:
        f"{DATASET}/logs/draw_curves/{{experiment}}.split{{split}}.{{modality}}.log",
    benchmark:
        f"{DATASET}/benchmarks/draw_curves/{{experiment}}.split{{split}}.{{modality}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        code=lambda wc: code_of("draw_curves"),
    script:
        "../scripts/draw_curves.py"
