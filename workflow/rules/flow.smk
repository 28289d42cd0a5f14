# in:  the videos of one shard
# out: results/{dataset}/shards/flow/{shard}.h5           TV-L1 flow, quantised to 0–255
#      results/{dataset}/shards/warped_flow/{shard}.h5    the same with the camera motion removed


rule compute_flow:
    """Compute and quantise the TV-L1 flow of the videos of one shard."""
    input:
        rendered_manifest,
    output:
        shard=f"{DATASET}/shards/flow/{{shard}}.h5",
    log:
        f"{DATASET}/logs/compute_flow/{{shard}}.log",
    benchmark:
        f"{DATASET}/benchmarks/compute_flow/{{shard}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: lambda wc: flow_threads(wc.dataset)
    resources:
        gpu=lambda wc: flow_gpus(wc.dataset),
        mem_mb=flow_memory,
        runtime=720,
    params:
        code=lambda wc: code_of("compute_flow"),
        flow=lambda wc: plain(settings(wc.dataset).flow),
        size=lambda wc: settings(wc.dataset).frames.target,
        folders=frame_folders,
        max_frames=lambda wc: settings(wc.dataset).data.max_frames,
        videos=videos_of,
    script:
        "../scripts/compute_flow.py"


rule compute_warped_flow:
    """Compute the flow of one shard again, without the camera's motion."""
    input:
        rendered_manifest,
        flow=f"{DATASET}/shards/flow/{{shard}}.h5",
    output:
        shard=f"{DATASET}/shards/warped_flow/{{shard}}.h5",
    log:
        f"{DATASET}/logs/compute_warped_flow/{{shard}}.log",
    benchmark:
        f"{DATASET}/benchmarks/compute_warped_flow/{{shard}}.tsv"
    conda:
        "../envs/tsn.yaml"
    threads: lambda wc: flow_threads(wc.dataset)
    resources:
        gpu=lambda wc: flow_gpus(wc.dataset),
        mem_mb=flow_memory,
        runtime=720,
    params:
        code=lambda wc: code_of("compute_warped_flow"),
        flow=lambda wc: plain(settings(wc.dataset).flow),
        folders=frame_folders,
        max_frames=lambda wc: settings(wc.dataset).data.max_frames,
        videos=videos_of,
    script:
        "../scripts/compute_warped_flow.py"
