# in:  the videos of one shard
# out: results/{dataset}/shards/rgb/{shard}.h5    decoded, resized frames as JPEG


rule decode_frames:
    """Decode and resize the videos of one shard into JPEG frames."""
    input:
        rendered_manifest,
    output:
        shard=f"{DATASET}/shards/rgb/{{shard}}.h5",
    log:
        f"{DATASET}/logs/decode_frames/{{shard}}.log",
    benchmark:
        f"{DATASET}/benchmarks/decode_frames/{{shard}}.tsv"
    priority: 1  # a training waits for it
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=120,
    params:
        code=lambda wc: code_of("decode_frames"),
        frames=lambda wc: plain(settings(wc.dataset).frames),
        folders=frame_folders,
        max_frames=lambda wc: settings(wc.dataset).data.max_frames,
        videos=videos_of,
    script:
        "../scripts/decode_frames.py"
