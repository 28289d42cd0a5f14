# in:  results/{dataset}/shards/{stream}/*.h5
# out: results/{dataset}/shards/{stream}.quarantine.tsv    videos of a stream that cannot be used, and why
#      results/{dataset}/quarantine.tsv                    the same for all streams together
#
# Before anything is trained a run stops here if a file is not what was written, by its checksum, or if
# there are more bad videos than data.max_quarantined.


rule check_shards:
    """Check the shards of a stream, and stop if too many videos cannot be used."""
    input:
        index=f"{DATASET}/index.tsv",
        report=f"{DATASET}/index.txt",
        shards=lambda wc: shards_of(wc.stream)(wc),
    output:
        quarantine=f"{DATASET}/shards/{{stream}}.quarantine.tsv",
    log:
        f"{DATASET}/logs/check_shards/{{stream}}.log",
    benchmark:
        f"{DATASET}/benchmarks/check_shards/{{stream}}.tsv"
    priority: 1  # a training waits for it
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=30,
    params:
        max_quarantined=lambda wc: settings(wc.dataset).data.max_quarantined,
    script:
        "../scripts/check_shards.py"


rule list_quarantined:
    """List the videos that cannot be used, of all streams."""
    input:
        streams=lambda wc: expand(
            f"{DATASET}/shards/{{stream}}.quarantine.tsv",
            dataset=wc.dataset,
            stream=settings(wc.dataset).streams,
        ),
    output:
        quarantine=f"{DATASET}/quarantine.tsv",
    log:
        f"{DATASET}/logs/list_quarantined.log",
    benchmark:
        f"{DATASET}/benchmarks/list_quarantined/all.tsv"
    localrule: True
    conda:
        "../envs/tsn.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=10,
    script:
        "../scripts/list_quarantined.py"
