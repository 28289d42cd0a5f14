# in:  the videos of one shard
# out: results/{dataset}/shards/flow/{shard}.h5           TV-L1 flow, quantised to 0–255
#      results/{dataset}/shards/warped_flow/{shard}.h5    the same with the camera motion removed

ENGINES = ["checks", "engine", "opencv", "opencv_cuda", "params", "quantise", "shard", "tvl1"]
NATIVE = ["engine", "median", "pyramid", "solver", "warp"]
CUDA = [
    "arguments.py",
    "compile.py",
    "engine.py",
    *(f"kernels/{name}.cu" for name in ("common", "iterate", "median", "pyramid", "store", "warp")),
    "lane.py",
    "source.py",
    "workspace.py",
]
WARPED = ["camera", "features", "homography", "warped", "warped_shard"]
FLOW_CODE = DECODER_CODE + code(
    *(f"flow/{name}.py" for name in ENGINES),
    *(f"flow/native/{name}.py" for name in NATIVE),
    *(f"flow/cuda/{name}" for name in CUDA),
)


rule compute_flow:
    input:
        rendered_manifest,
        code=FLOW_CODE,
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
        flow=lambda wc: block(wc.dataset, "flow"),
        size=lambda wc: block(wc.dataset, "frames")["size"],
        max_frames=lambda wc: block(wc.dataset, "data")["max_frames"],
        videos=videos_of,
    script:
        "../scripts/compute_flow.py"


rule compute_warped_flow:
    input:
        rendered_manifest,
        flow=f"{DATASET}/shards/flow/{{shard}}.h5",
        code=FLOW_CODE + code(*(f"flow/{name}.py" for name in WARPED)),
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
        flow=lambda wc: block(wc.dataset, "flow"),
        videos=videos_of,
    script:
        "../scripts/compute_warped_flow.py"
