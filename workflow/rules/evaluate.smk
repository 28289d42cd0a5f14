# in:  a model, results/{dataset}/index.tsv, the shards of the modality's stream
# out: results/{dataset}/{experiment}/split{N}/{modality}/scores.h5, metrics.json


rule score_videos:
    input:
        model=model_of,
        index=f"{DATASET}/index.tsv",
        shards=modality_shards,
        quarantine=modality_quarantine,
        code=network_code() + code("evaluation/protocol.py", "evaluation/metrics.py"),
    output:
        scores=f"{RUN}/{{modality}}/scores.h5",
        metrics=f"{RUN}/{{modality}}/metrics.json",
    log:
        f"{DATASET}/logs/score_videos/{{experiment}}.split{{split}}.{{modality}}.log",
    benchmark:
        f"{DATASET}/benchmarks/score_videos/{{experiment}}.split{{split}}.{{modality}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: network_threads()
    resources:
        gpu=network_gpus(),
        mem_mb=memory(16000),
        runtime=480,
    params:
        test=lambda wc: owned(wc, experiments.scored_by).blocks["test"],
    script:
        "../scripts/score_videos.py"
