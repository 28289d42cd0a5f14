"""The demo set through sbatch on a real SLURM, with a job killed and a node drained on the way."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.slurm.cluster import Cluster, Job

REPOSITORY = Path(__file__).parents[2]
MOST_SECONDS = 1200
"""Of a run that takes two minutes where the machine has nothing else to do."""
CONFIG = {
    "datasets": {
        "demo": {
            "train_per_class": 1,
            "test_per_class": 1,
            "shards": 2,
            "override": {
                "frames": {"size": [64, 48]},
                "model": {"backbone": "resnet18", "weights": "none", "input_size": 32},
                "training": {
                    "segments": 2,
                    "batch_size": 9,
                    "micro_batch": 5,
                    "per_modality": {
                        modality: {"epochs": 1, "lr_milestones": []}
                        for modality in ("rgb", "flow", "warped_flow")
                    },
                },
                "test": {"segments": 3, "crops": 5, "crop_size": 32},
            },
        }
    }
}
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
PROFILE = [
    "--workflow-profile",
    str(REPOSITORY / "profiles" / "slurm"),
    # Accounting needs a database, which a test has not.
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=3",
    "--latency-wait=10",
    "--set-threads",
    *("render_demo=2", "train_model=1", "score_videos=1"),
]


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where it ran.
        output: what Snakemake printed.
        killed: the job that was killed.
        while_drained: the jobs there had been when node 2 was given back.
        jobs: all of its jobs.
    """

    folder: Path
    output: str
    killed: Job
    while_drained: list[Job]
    jobs: list[Job]


@pytest.fixture(scope="session")
def run(cluster: Cluster, tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    cluster.command("scontrol", "update", "nodename=node2", "state=drain", "reason=test")
    log = folder / "output.txt"
    with log.open("w") as output:
        snakemake = subprocess.Popen(
            [*SNAKEMAKE, "results/fusion_demo.json", *PROFILE, "--configfile", "config.yaml"],
            cwd=folder,
            env=cluster.environment,
            stdout=output,
            stderr=output,
        )
    try:
        killed = _first_running(cluster, "compute_flow", snakemake, log)
        cluster.command("scancel", killed.id)
        while_drained = cluster.jobs()
        cluster.command("scontrol", "update", "nodename=node2", "state=resume")
        snakemake.wait(timeout=MOST_SECONDS)
    finally:
        snakemake.terminate()
        snakemake.wait()
    text = log.read_text()
    assert snakemake.returncode == 0, text
    return Run(folder, text, killed, while_drained, cluster.jobs())


def _first_running(cluster: Cluster, rule: str, snakemake: subprocess.Popen, log: Path) -> Job:
    def running() -> list[Job]:
        assert snakemake.poll() is None, log.read_text()
        return [job for job in cluster.jobs() if job.rule == rule and job.state == "RUNNING"]

    cluster.wait_for(running, f"running job of {rule}", seconds=MOST_SECONDS)
    return running()[0]


def test_the_demo_set_runs_to_its_fusion(run):
    summary = json.loads((run.folder / "results" / "fusion_demo.json").read_text())
    split = summary["splits"][0]
    assert set(split["modalities"]) == {"rgb", "flow", "warped_flow"}
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
    assert {job.node for job in run.while_drained} <= {"node1", ""}
    assert "node2" in {job.node for job in run.jobs}


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
        [*SNAKEMAKE, target, *options, "--configfile", "config.yaml"],
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
    jobs = snakemake(cluster, run, f"{folder}/model.pt", *PROFILE, "--set-resources", *options)
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
