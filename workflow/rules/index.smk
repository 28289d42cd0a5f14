# in:  the videos of a data set and its official split files (or a folder per class)
# out: results/{dataset}/index.tsv    one row per video: id, path, class, label, shard, splits
#      results/{dataset}/index.txt    what was found, missing and unlisted, by name


rule render_demo:
    """Render the demo set: short videos whose classes only flow can tell apart."""
    output:
        manifest=f"{DATASET}/videos/manifest.tsv",
    log:
        f"{DATASET}/logs/render_demo.log",
    benchmark:
        f"{DATASET}/benchmarks/render_demo/all.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: 16
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        code=lambda wc: code_of("render_demo"),
        dataset=lambda wc: plain(settings(wc.dataset).dataset),
    script:
        "../scripts/render_demo.py"


rule index_videos:
    """Find the videos of a data set, with their classes, splits and shards."""
    input:
        rendered_manifest,
    output:
        index=f"{DATASET}/index.tsv",
        report=f"{DATASET}/index.txt",
    log:
        f"{DATASET}/logs/index_videos.log",
    benchmark:
        f"{DATASET}/benchmarks/index_videos/all.tsv"
    priority: 1  # a training waits for it
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        code=lambda wc: code_of("index_videos"),
        dataset=lambda wc: plain(settings(wc.dataset).dataset),
        missing=lambda wc: settings(wc.dataset).data.missing,
        invalid_rows=lambda wc: settings(wc.dataset).data.invalid_rows,
        videos=lambda wc: digest(listing(wc.dataset)),
    script:
        "../scripts/index_videos.py"
