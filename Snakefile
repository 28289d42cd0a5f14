# The user's entry; the pipeline is in workflow/, where workflow catalogs look for it.
#
#   snakemake --cores 16 results/fusion_ucf101.json


include: "workflow/Snakefile"


rule all:
    """What is made if nothing is asked for: the demo."""
    default_target: True
    input:
        rules.demo.input,
