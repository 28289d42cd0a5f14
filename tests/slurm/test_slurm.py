"""The demo set through sbatch on a real SLURM, with a job killed and a node drained on the way."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import AWKWARD, Checkout
from tests.slurm.cluster import Cluster, Job
from tests.workflow.short_demo import short_demo

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

MOST_SECONDS = 1200
"""Of a run that takes two minutes where the machine has nothing else to do."""
OPTIONS = [
    # Accounting needs a database, which a test has not.
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=3",
    "--latency-wait=10",
    "--set-threads",
    *("render_demo=2", "train_model=1", "score_videos=1"),
]


def command(checkout: Checkout, target: str, *options: str) -> list[str]:
    snakemake = [str(checkout.python), "-m", "snakemake"]
    snakemake += ["--snakefile", str(checkout.folder / "Snakefile"), target, *options]
    return [*snakemake, "--configfile", "config.yaml"]


def slurm(checkout: Checkout) -> list[str]:
    """The options of a user's run through SLURM."""
    return ["--workflow-profile", str(checkout.folder / "profiles" / "slurm"), *OPTIONS]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it ran.
        checkout: the project that ran.
        output: what Snakemake printed.
        killed: the job that was killed, while the second node was drained.
        while_drained: the jobs there had been when it was killed. From then on the first node was
            drained, and the second one there.
        jobs: all of its jobs.
    """

    folder: Path
    checkout: Checkout
    output: str
    killed: Job
    while_drained: list[Job]
    jobs: list[Job]


@pytest.fixture(scope="session")
def run(cluster: Cluster, awkward_checkout: Checkout, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run") / AWKWARD
    folder.mkdir()
    config = {**short_demo(), "modalities": ["rgb", "warped_flow"]}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    drain(cluster, "node2")
    log = folder / "output.txt"
    with log.open("w") as output:
        snakemake = subprocess.Popen(
            command(awkward_checkout, "results/fusion_demo.json", *slurm(awkward_checkout)),
            cwd=folder,
            env=cluster.environment,
            stdout=output,
            stderr=output,
        )
    try:
        killed = _first_running(cluster, "compute_flow", snakemake, log)
        # Only the second node is left for whatever comes later: one node alone has room for all.
        drain(cluster, "node1")
        while_drained = cluster.jobs()
        give_back(cluster, "node2")
        cluster.command("scancel", killed.id)
        snakemake.wait(timeout=MOST_SECONDS)
    finally:
        snakemake.terminate()
        snakemake.wait()
        give_back(cluster, "node1")
    text = log.read_text()
    assert snakemake.returncode == 0, text
    return Run(folder, awkward_checkout, text, killed, while_drained, cluster.jobs())


def drain(cluster: Cluster, node: str) -> None:
    cluster.command("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")


def give_back(cluster: Cluster, node: str) -> None:
    cluster.command("scontrol", "update", f"nodename={node}", "state=resume")


def _first_running(cluster: Cluster, rule: str, snakemake: subprocess.Popen, log: Path) -> Job:
    def running() -> list[Job]:
        assert snakemake.poll() is None, log.read_text()
        return [job for job in cluster.jobs() if job.rule == rule and job.state == "RUNNING"]

    cluster.wait_for(running, f"running job of {rule}", seconds=MOST_SECONDS)
    return running()[0]


def test_the_demo_set_runs_to_its_fusion(run):
    summary = json.loads((run.folder / "results" / "fusion_demo.json").read_text())
    split = summary["splits"][0]
    assert set(split["modalities"]) == {"rgb", "warped_flow"}
    assert split["fused"]["videos"] == 9
    assert summary["quarantined"] == []


def test_every_stage_but_the_fusion_went_through_sbatch(run):
    assert {job.rule for job in run.jobs} >= {
        "render_demo",
        "index_videos",
        "decode_frames",
        "compute_flow",
        "compute_warped_flow",
        "check_shards",
        "train_model",
        "score_videos",
    }


def test_a_killed_job_is_tried_again_with_more_memory(run):
    again = [job for job in run.jobs if job.what == run.killed.what and job.id != run.killed.id]
    assert [job.state for job in again] == ["COMPLETED"]
    assert again[0].memory_mb == round(1.5 * run.killed.memory_mb)
    assert sum(job.state == "CANCELLED" for job in run.jobs) == 1


def test_a_drained_node_gets_no_job_and_one_that_is_back_does(run):
    before = {job.id for job in run.while_drained}
    # No node: it waited when it was looked at.
    assert {job.node for job in run.while_drained} <= {"node1", ""}
    assert {job.node for job in run.jobs if job.id not in before} == {"node2"}


def test_training_and_test_ask_for_a_gpu_and_nothing_else_does(run):
    with_gpu = {job.rule for job in run.jobs if job.with_gpu}
    assert with_gpu == {"train_model", "score_videos"}


def test_jobs_find_their_videos_in_the_lists_that_the_run_wrote(run):
    lists = run.folder / "results" / "demo" / "shards" / "videos"
    assert sorted(file.name for file in lists.iterdir()) == ["0000.tsv", "0001.tsv"]


def snakemake(cluster: Cluster, run: Run, target: str, *options: str) -> list[Job]:
    """Run one more target; the jobs that it took."""
    before = {job.id for job in cluster.jobs()}
    done = subprocess.run(
        command(run.checkout, target, *options),
        cwd=run.folder,
        env=cluster.environment,
        capture_output=True,
        text=True,
        timeout=MOST_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [job for job in cluster.jobs() if job.id not in before]


def test_one_training_runs_on_two_nodes(cluster, run):
    folder = "results/demo/two_stream/split1/rgb"
    resources = ("nodes=2", "tasks=2", "tasks_per_gpu=0", "gpu=2", "mpi='srun'")
    options = [f"train_model:{resource}" for resource in resources]
    jobs = snakemake(
        cluster, run, f"{folder}/model.pt", *slurm(run.checkout), "--set-resources", *options
    )
    assert [(job.rule, job.state) for job in jobs] == [("train_model", "COMPLETED")]
    assert jobs[0].node == "node[1-2]"
    assert (run.folder / folder / "model.pt").exists()


def test_a_generic_cluster_does_the_same(cluster, run):
    shard = run.folder / "results/demo/shards/rgb/0000.h5"
    before = shard.read_bytes()
    submit = (
        "sbatch --parsable --output=/dev/null --cpus-per-task={threads} --mem={resources.mem_mb}"
    )
    snakemake(
        *(cluster, run, "results/demo/shards/rgb/0000.h5", "--force", "--jobs=2"),
        *("--executor=cluster-generic", f"--cluster-generic-submit-cmd={submit}"),
        "--default-resources=mem_mb=2000",
    )
    assert shard.read_bytes() == before
