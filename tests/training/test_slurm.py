"""The command that trains on several nodes."""

import pytest

from tsn.runtime.errors import UserError
from tsn.training.slurm import srun_torchrun


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
