# in:  a model, results/{dataset}/index.tsv, the shards of the modality's stream
# out: results/{dataset}/{experiment}/split{N}/{modality}/scores.h5, metrics.json
#      …/{modality}/held_out.h5    where fusion.weights are searched for, or fusion.calibrate is set: the scores of
#                                  training.validation's videos


rule score_videos:
    """Score the test videos with one network: 25 snippets x 10 crops."""
    input:
        model=model_of,
        index=f"{DATASET}/index.tsv",
        shards=modality_shards,
        quarantine=modality_quarantine,
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
        code=lambda wc: code_of("score_videos"),
        test=lambda wc: plain(owned(wc, configuration.scored_by).test),
        precision=lambda wc: settings(wc.dataset, wc.experiment).training(wc.modality).precision,
        frame_rate=lambda wc: (frame_folders(wc) or {}).get("frame_rate"),
    script:
        "../scripts/score_videos.py"


rule score_held_out:
    """Score the training videos that validation holds out, for fusion weights and temperature."""
    input:
        model=model_of,
        index=f"{DATASET}/index.tsv",
        shards=modality_shards,
        quarantine=modality_quarantine,
    output:
        scores=f"{RUN}/{{modality}}/held_out.h5",
    log:
        f"{DATASET}/logs/score_held_out/{{experiment}}.split{{split}}.{{modality}}.log",
    benchmark:
        f"{DATASET}/benchmarks/score_held_out/{{experiment}}.split{{split}}.{{modality}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: network_threads()
    resources:
        gpu=network_gpus(),
        mem_mb=memory(16000),
        runtime=480,
    params:
        code=lambda wc: code_of("score_held_out"),
        test=lambda wc: plain(owned(wc, configuration.scored_by).test),
        precision=lambda wc: settings(wc.dataset, wc.experiment).training(wc.modality).precision,
        frame_rate=lambda wc: (frame_folders(wc) or {}).get("frame_rate"),
        validation=lambda wc: settings(wc.dataset, wc.experiment).training(wc.modality).validation,
        seed=lambda wc: settings(wc.dataset, wc.experiment).seed,
    script:
        "../scripts/score_held_out.py"
