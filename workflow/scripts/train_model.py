"""Train one modality on one split."""

from snakemake.iocontainers import Snakemake

from tsn.runtime.job import job

snakemake: Snakemake
at = snakemake.wildcards
nodes = snakemake.resources.get("nodes", 1)
gpus = snakemake.resources.get("gpu", 0) // nodes  # of each node

with job(
    snakemake.log[0], f"train {at.dataset} {at.experiment} split {at.split} {at.modality}", gpus
):
    from tsn.config.fields import build
    from tsn.config.schema import ModelConfig, TrainingConfig
    from tsn.training.job import Task, TrainingFiles, TrainingJob
    from tsn.training.launch import launch, srun_torchrun

    params, files, out = snakemake.params, snakemake.input, snakemake.output
    model, recipe = build(ModelConfig, params.model), build(TrainingConfig, params.recipe)
    names = at.dataset, at.experiment, int(at.split), at.modality
    what = TrainingJob(*names, params.seed, model, recipe)
    where = TrainingFiles(files.index, tuple(files.shards), out.model, out.log)
    processes, threads = max(1, gpus), snakemake.threads
    torchrun = srun_torchrun(nodes, processes, gpus, threads) if nodes > 1 else ()
    launch(Task(what, where, max(1, threads // processes)), processes, torchrun)
