# in:  a model, results/{dataset}/index.tsv, the shards of the modality's stream
# out: results/{dataset}/{experiment}/split{N}/{modality}/features.h5


rule extract_features:
    """Write the features of all videos, for programs that find actions in time."""
    input:
        model=model_of,
        index=f"{DATASET}/index.tsv",
        shards=modality_shards,
        quarantine=modality_quarantine,
    output:
        features=f"{RUN}/{{modality}}/features.h5",
    log:
        f"{DATASET}/logs/extract_features/{{experiment}}.split{{split}}.{{modality}}.log",
    benchmark:
        f"{DATASET}/benchmarks/extract_features/{{experiment}}.split{{split}}.{{modality}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: network_threads()
    resources:
        gpu=network_gpus(),
        mem_mb=memory(16000),
        runtime=480,
    params:
        code=lambda wc: code_of("extract_features"),
        features=lambda wc: plain(settings(wc.dataset, wc.experiment).features),
        crop_size=lambda wc: settings(wc.dataset, wc.experiment).test.crop_size,
        engine=lambda wc: settings(wc.dataset, wc.experiment).test.engine,
    script:
        "../scripts/extract_features.py"
