"""Train one modality on one split."""

from snakemake.iocontainers import Snakemake

from tsn.job import job

snakemake: Snakemake
at = snakemake.wildcards
gpus = snakemake.resources.get("gpu", 0)

with job(
    snakemake.log[0], f"train {at.dataset} {at.experiment} split {at.split} {at.modality}", gpus
):
    from tsn.config import ModelConfig, TrainingConfig, build
    from tsn.training.launch import launch
    from tsn.training.task import Task, TrainingFiles, TrainingJob

    params, files, out = snakemake.params, snakemake.input, snakemake.output
    model, recipe = build(ModelConfig, params.model), build(TrainingConfig, params.recipe)
    names = at.dataset, at.experiment, int(at.split), at.modality
    what = TrainingJob(*names, params.seed, model, recipe, params.groups)
    where = TrainingFiles(files.index, tuple(files.shards), out.model, out.log, out.curves)
    processes = max(1, snakemake.resources.get("gpu", 0))
    launch(Task(what, where, max(1, snakemake.threads // processes)), processes)
