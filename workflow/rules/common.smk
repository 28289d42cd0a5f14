# What all stages share: the checked configuration, the names of files, input functions.

import os
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from tsn.config.checks import check_classes, check_networks
from tsn.config.experiments import Configuration
from tsn.config.fields import plain
from tsn.config.load import read_config, with_current_names_of_all
from tsn.datasets.build_index import digest, plan_listing, videos_by_shard
from tsn.datasets.index import multi_label
from tsn.datasets.listing import oddities
from tsn.shards.lists import ShardLists
from tsn.runtime.code_digest import code_digest
from tsn.runtime.errors import UserError
from tsn.runtime.gpus import usable_gpus
from tsn.runtime.job import find_interpreter_by_path, share_package
from tsn.models.modality import STREAM_OF
from tsn.runtime.parent_watch import announce_run
from tsn.report.flow_plan import flow_table_inputs, plan_flow_table
from tsn.report.table_plan import plan_table, table_inputs

RESULTS = "results"
DATASET = f"{RESULTS}/{{dataset}}"
RUN = f"{DATASET}/{{experiment}}/split{{split}}"


share_package()
announce_run()


def config_layers():
    """config.yaml and what is over it: files in the order of the command line, then --config.

    Snakemake has merged them in `config`, where nobody can tell a default of config.yaml from a key
    of the user's, and keeps the last of two keys of one name in silence.
    """
    defaults = Path(workflow.source_path("../../config/config.yaml"))
    if len(workflow.modifier_stack) > 1:  # a module: its keys come from the workflow around it
        return [read_config(defaults), config]
    files = [file for file in workflow.configfiles if file not in workflow.overwrite_configfiles]
    files = [*files, *workflow.overwrite_configfiles]
    others = [file for file in files if not Path(file).samefile(defaults)]
    return [*map(read_config, [defaults, *others]), workflow.config_settings.config]


try:
    find_interpreter_by_path()
    layers, renamed_keys = with_current_names_of_all(config_layers())
    configuration = Configuration(*layers)
except UserError as error:
    raise WorkflowError(str(error)) from None
if workflow.is_main_process:
    for warning in renamed_keys:
        print(f"warning: {warning}", file=sys.stderr)


# Any name is let through here, so that `settings` can say which data sets and experiments there are.
wildcard_constraints:
    dataset="[A-Za-z0-9][A-Za-z0-9_.-]*",
    experiment="[A-Za-z0-9][A-Za-z0-9_.-]*",
    modality="rgb|flow|warped_flow|rgb_diff",
    stream="rgb|flow|warped_flow",
    split=r"[1-9]\d*",
    table=r"(?!flow_)[A-Za-z0-9][A-Za-z0-9.-]*",  # flow is the table of fill_flow_table
    shard=r"\d{4}",


def exit_on_user_error(function):
    """Decorate an input or params function: print a UserError and exit with status 1.

    An exception would not: where the outputs exist already, Snakemake takes an input function
    that raises for a reason to leave them as they are, and reports success.
    """

    def call(*arguments):
        try:
            return function(*arguments)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)

    return call


@cache
@exit_on_user_error
def settings(dataset, experiment=None):
    """The configuration of a data set under an experiment (by default the published one)."""
    resolved = configuration.settings(dataset, experiment or configuration.experiment)
    check_networks(resolved)
    return resolved


@cache
@exit_on_user_error
def listing(dataset):
    """The videos that the index will hold; warnings about them are printed once, before all jobs."""
    data = settings(dataset).data
    found = plan_listing(settings(dataset).dataset, Path(RESULTS), data.missing, data.invalid_rows)
    if workflow.is_main_process:
        for oddity in oddities(found, settings(dataset).dataset.splits):
            print(f"warning: datasets.{dataset}: {oddity}", file=sys.stderr)
    return found


shard_lists = ShardLists(
    RESULTS,
    lambda name: videos_by_shard(listing(name).videos, settings(name).dataset.shards),
    is_job=not workflow.is_main_process,
    # The handler `onstart` of a module does not run.
    write_at_once=workflow.modifier.is_module and not workflow.dryrun,
)


@exit_on_user_error
def videos_of(wildcards):
    """The videos of one shard: a parameter of its rules instead of the index as their input, so
    that a video that comes, goes or changes reruns its own shard only."""
    return shard_lists.list_and_digest(wildcards.dataset, wildcards.shard)


def frame_folders(wildcards):
    """How folders of images are named, of a data set that has them instead of video files."""
    return plain(getattr(settings(wildcards.dataset).dataset, "frame_folders", None))


def shards_of(stream):
    """Input function: all shards of a stream."""
    return lambda wildcards: expand(
        f"{DATASET}/shards/{stream}/{{shard}}.h5",
        dataset=wildcards.dataset,
        shard=shard_lists.shards(wildcards.dataset),
    )


@exit_on_user_error
def model_of(wildcards):
    """Input function: the model of a modality, which may be that of another experiment."""
    owner = configuration.trained_by(wildcards.dataset, wildcards.experiment, wildcards.modality)
    return f"{RUN}/{{modality}}/model.pt".format(**{**wildcards, "experiment": owner})


def run_files(wildcards, splits, modalities, name="scores.h5", owner_of=configuration.scored_by):
    """Files of the runs of an experiment, or of those that it fuses; those that others have in
    common lie with the first of them."""
    return [
        f"{RUN}/{{modality}}/{name}".format(
            dataset=wildcards.dataset,
            experiment=owner_of(wildcards.dataset, experiment, modality),
            split=split,
            modality=modality,
        )
        for split in splits
        for modality in modalities
        for experiment in settings(wildcards.dataset, wildcards.experiment).fused
    ]


@exit_on_user_error
def owned(wildcards, owner_of):
    """The settings of a run, if its files are its own and not those of another experiment."""
    owner = owner_of(wildcards.dataset, wildcards.experiment, wildcards.modality)
    if owner != wildcards.experiment:
        raise UserError(
            f"{wildcards.experiment} has its {wildcards.modality} network in common with {owner}; "
            f"ask for it in {RUN}/{wildcards.modality} instead".format(
                **{**wildcards, "experiment": owner}
            )
        )
    return settings(wildcards.dataset, wildcards.experiment)


@exit_on_user_error
def modality_shards(wildcards):
    """Input function: the shards that a modality reads, if there is such a split and modality."""
    known = settings(wildcards.dataset, wildcards.experiment)
    if int(wildcards.split) not in known.dataset.splits:
        raise UserError(
            f"datasets.{wildcards.dataset}: there is no split {wildcards.split} (there are: "
            f"{', '.join(map(str, known.dataset.splits))})"
        )
    if wildcards.modality not in known.modalities:
        raise UserError(
            f"experiment {wildcards.experiment}: {wildcards.modality} is not trained (only "
            f"{', '.join(known.modalities)}); add it to modalities"
        )
    if workflow.is_main_process:
        found = listing(wildcards.dataset)
        several = multi_label(found.videos)
        check_classes(known.training(wildcards.modality), found.classes, several)
    return shards_of(STREAM_OF[wildcards.modality])(wildcards)


def modality_quarantine(wildcards):
    """Input function: the proof that enough videos of a modality's stream are usable."""
    stream = STREAM_OF[wildcards.modality]
    return f"{RESULTS}/{wildcards.dataset}/shards/{stream}.quarantine.tsv"


def rendered_manifest(wildcards):
    """Input function: the demo set is rendered before it is read."""
    layout = settings(wildcards.dataset).dataset.layout
    return f"{RESULTS}/{wildcards.dataset}/videos/manifest.tsv" if layout == "demo" else []


def runs_here():
    """Whether jobs run on this machine. The executor is not known while the rules are read, but
    clusters are given a number of jobs, `_nodes`."""
    return workflow.is_main_process and workflow.global_resources["_nodes"].value is None


@cache
@exit_on_user_error
def flow_gpus(dataset):
    """GPUs that a flow job asks for: one where an engine for GPUs is to run. On a cluster its
    profile says so, and the engine is chosen where the job runs."""
    if not runs_here():
        return 0
    from tsn.flow.tvl1 import GPU_BACKENDS, resolve_backend

    flow = settings(dataset).flow
    if flow.algorithm in ("dis", "farneback"):
        return 0
    backend = flow.backend if flow.algorithm == "tvl1" else "native"
    return int(resolve_backend(backend, flow.params.variant) in GPU_BACKENDS)


def flow_threads(dataset):
    """With a GPU, videos decoded at a time to keep it busy; on a CPU jobs side by side do as well."""
    return 8 if flow_gpus(dataset) else 1


@cache
def gpus_here():
    """GPUs that the jobs of a run on this machine may use. On a cluster its profile says which
    rules ask for one."""
    return len(usable_gpus()) if runs_here() else 0


# As many GPU jobs at a time as there are GPUs; `--resources gpu=N` allows fewer.
if runs_here() and "gpu" not in workflow.global_resources:
    workflow.register_resource("gpu", max(1, gpus_here()))


def network_gpus():
    """GPUs that a training or test job asks for: none where it would run here on the CPU."""
    return min(1, gpus_here())


def network_threads():
    """With a GPU, workers of the loader, 8 to 16 of the cores that there are for each GPU; on a CPU
    few threads, as several jobs beside each other do more (two threads were no faster than one:
    the images are small)."""
    cores = workflow.global_resources["_cores"].value or 1
    if network_gpus():
        return min(16, max(8, cores // gpus_here()))
    return max(1, cores // 4)


def memory(mb):
    """Memory that a job asks for, in MB: half as much again each time it is retried."""
    return lambda wildcards, attempt: round(mb * 1.5 ** (attempt - 1))


def flow_memory(wildcards, attempt):
    """Memory of a flow job: a decoder at its limit and the flow, and more for each video that is
    worked on beside the first."""
    others = flow_threads(wildcards.dataset) - 1
    return memory(3000 + 600 * others)(wildcards, attempt)


@cache
def code_of(rule):
    """A parameter of a rule: changes with the source code that its numbers depend on."""
    return code_digest(Path(workflow.source_path(f"../scripts/{rule}.py")))
