# Temporal Segment Networks: a folder of videos -> results/fusion_{dataset}.json
#
#   snakemake --cores 16 results/fusion_ucf101.json
#
# in:  the videos and lists that config/config.yaml names under datasets
# out: results/fusion_{dataset}.json, .md and .html; everything else lies below results/{dataset}/

from snakemake.utils import min_version

min_version("9.27")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/frames.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/quarantine.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/fusion.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/report.smk"


# What `videos_of` in common.smk names and the shard jobs read; tsn/shards/lists.py says why here.
onstart:
    shard_lists.write()


rule demo:
    default_target: True
    input:
        "results/fusion_demo.json",
