"""A training task as a file, and the command that trains on several nodes."""

import json
import subprocess
import sys

import pytest

from tsn.runtime.errors import UserError
from tsn.training.job import read_task, write_task
from tsn.training.launch import srun_torchrun


def test_one_torchrun_on_every_node_with_its_gpus_and_cores(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    command = " ".join(srun_torchrun(nodes=2, per_node=4, gpus=4, threads=32))
    srun, torchrun = command.split(" -m torch.distributed.run ")
    for option in ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--gpus-per-node=4"):
        assert option in srun
    assert "--cpus-per-task=32" in srun
    assert "--nnodes 2 --nproc-per-node 4" in torchrun and "--rdzv-id 77" in torchrun


def test_a_node_without_gpus_is_not_asked_for_any(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    assert not any("gpus" in word for word in srun_torchrun(2, 1, 0, 4))


def test_several_nodes_outside_slurm_are_a_mistake(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match="2 nodes, and this is no SLURM job"):
        srun_torchrun(2, 1, 0, 4)


def test_a_task_survives_its_file(make_task, make_job, tmp_path):
    task = make_task(make_job(), threads=3)
    write_task(tmp_path / "task.json", task)
    assert read_task(tmp_path / "task.json") == task


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"job": {"model": {}}})])
def test_a_file_that_is_no_task_is_named(tmp_path, text):
    (tmp_path / "task.json").write_text(text)
    with pytest.raises(UserError, match=r"task\.json: not a training task"):
        read_task(tmp_path / "task.json")


def test_a_task_file_that_is_not_there_is_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tsn.training", str(tmp_path / "no.json")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "no.json: there is no such file" in done.stderr and "Traceback" not in done.stderr
