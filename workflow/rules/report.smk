# in:  the summary of an experiment, its scores and training logs; a few rows of the shards
# out: results/{dataset}/{experiment}/report/*.svg         figures of the results
#      results/{dataset}/clips/                            frames, flow and warped flow of a few clips
#      results/{dataset}/{experiment}/split{N}/saliency/   report.saliency: where the networks look in these clips
#      results/{dataset}/{experiment}/report/report.html   all of it on one page
#
# `snakemake --report report.html results/fusion_{dataset}.json` shows the same in Snakemake's frame.

REPORT = f"{DATASET}/{{experiment}}/report"
RESULTS_PART, CLASSES_PART, TRAINING_PART, CLIPS_PART = (
    "1 Results",
    "2 Classes",
    "3 Training and time",
    "4 Clips",
)


report: "../report/workflow.rst"


rule draw_results:
    """Draw the figures of an experiment."""
    input:
        summary=f"{DATASET}/{{experiment}}/fusion.json",
        index=f"{DATASET}/index.tsv",
        scores=all_scores,
        logs=all_logs,
    output:
        accuracies=report(
            f"{REPORT}/accuracies.svg", **shown(RESULTS_PART, "accuracies", "top-1 accuracies")
        ),
        calibration=report(
            f"{REPORT}/calibration.svg", **shown(RESULTS_PART, "calibration", "calibration")
        ),
        classes=report(f"{REPORT}/classes.svg", **shown(CLASSES_PART, "classes", "by class")),
        confusion=report(
            f"{REPORT}/confusion.svg", **shown(CLASSES_PART, "confusion", "confusion matrix")
        ),
        curves=report(f"{REPORT}/curves.svg", **shown(TRAINING_PART, "curves", "training curves")),
        times=report(f"{REPORT}/times.svg", **shown(TRAINING_PART, "times", "run times")),
    log:
        f"{DATASET}/logs/draw_results/{{experiment}}.log",
    benchmark:
        f"{DATASET}/benchmarks/draw_results/{{experiment}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=20,
    params:
        code=lambda wc: code_of("draw_results"),
    script:
        "../scripts/draw_results.py"


rule draw_clips:
    """Draw frames, flow and warped flow of a few clips."""
    input:
        index=f"{DATASET}/index.tsv",
        shards=lambda wc: [
            shard for stream in settings(wc.dataset).streams for shard in shards_of(stream)(wc)
        ],
    output:
        folder=report(
            directory(f"{DATASET}/clips"),
            patterns=["{clip}.jpg"],
            category=CLIPS_PART,
            subcategory="{dataset}",
            caption="../report/clips.rst",
            labels={"clip": "{clip}"},
        ),
    log:
        f"{DATASET}/logs/draw_clips.log",
    benchmark:
        f"{DATASET}/benchmarks/draw_clips/all.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=20,
    params:
        code=lambda wc: code_of("draw_clips"),
        split=lambda wc: settings(wc.dataset).dataset.splits[0],
        streams=lambda wc: settings(wc.dataset).streams,
    script:
        "../scripts/draw_clips.py"


rule draw_saliency:
    """Draw where the networks look in the clips of the report."""
    input:
        fusion=f"{RUN}/fusion.json",
        models=lambda wc: run_files(
            wc,
            [wc.split],
            settings(wc.dataset, wc.experiment).modalities,
            "model.pt",
            configuration.trained_by,
        ),
        index=f"{DATASET}/index.tsv",
        clips=f"{DATASET}/clips",
        shards=lambda wc: [
            shard
            for stream in settings(wc.dataset, wc.experiment).streams
            for shard in shards_of(stream)(wc)
        ],
    output:
        folder=report(
            directory(f"{RUN}/saliency"),
            patterns=["{clip}.png"],
            category=CLIPS_PART,
            subcategory="{dataset}, {experiment}",
            caption="../report/saliency.rst",
            labels={"clip": "{clip}, where networks look"},
        ),
    log:
        f"{DATASET}/logs/draw_saliency/{{experiment}}.split{{split}}.log",
    benchmark:
        f"{DATASET}/benchmarks/draw_saliency/{{experiment}}.split{{split}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: network_threads()
    resources:
        gpu=network_gpus(),
        mem_mb=memory(16000),
        runtime=60,
    params:
        code=lambda wc: code_of("draw_saliency"),
        streams=lambda wc: settings(wc.dataset, wc.experiment).streams,
        frame_rate=lambda wc: (frame_folders(wc) or {}).get("frame_rate"),
    script:
        "../scripts/draw_saliency.py"


rule write_report:
    """Write all results of an experiment on one page."""
    input:
        summary=f"{DATASET}/{{experiment}}/fusion.json",
        index=f"{DATASET}/index.tsv",
        scores=all_scores,
        clips=f"{DATASET}/clips",
        saliency=saliency_of_clips,
        accuracies=f"{REPORT}/accuracies.svg",
        calibration=f"{REPORT}/calibration.svg",
        classes=f"{REPORT}/classes.svg",
        confusion=f"{REPORT}/confusion.svg",
        curves=f"{REPORT}/curves.svg",
        times=f"{REPORT}/times.svg",
    output:
        page=report(f"{REPORT}/report.html", **shown(RESULTS_PART, "page", "all of it on one page")),
    log:
        f"{DATASET}/logs/write_report/{{experiment}}.log",
    benchmark:
        f"{DATASET}/benchmarks/write_report/{{experiment}}.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=20,
    params:
        code=lambda wc: code_of("write_report"),
    script:
        "../scripts/write_report.py"
