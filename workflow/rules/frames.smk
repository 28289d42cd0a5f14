# in:  the videos of one shard
# out: results/{dataset}/shards/rgb/{shard}.h5    decoded, resized frames as JPEG


rule decode_frames:
    input:
        rendered_manifest,
        code=code("data/build.py", "data/containers.py", "data/shards.py", "data/video.py"),
    output:
        shard=f"{DATASET}/shards/rgb/{{shard}}.h5",
    log:
        f"{DATASET}/logs/decode_frames/{{shard}}.log",
    benchmark:
        f"{DATASET}/benchmarks/decode_frames/{{shard}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        frames=lambda wc: block(wc.dataset, "frames"),
        videos=lambda wc: videos_of(wc.dataset, wc.shard),
    script:
        "../scripts/decode_frames.py"
