"""Starts a training in this process, or in several of this machine or of a SLURM allocation."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tsn.runtime.errors import UserError
from tsn.runtime.gpus import claimed
from tsn.training.job import Task, write_task

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def launch(task: Task, processes: int, torchrun: tuple[str, ...] = ()) -> None:
    """Train, in `processes` processes of this machine if that is more than one.

    Args:
        task: the job; its `threads` are those of each process.
        processes: one per GPU.
        torchrun: the whole command that starts torchrun, with its options, where
            `torchrun_command` will not do: see `srun_torchrun`.

    Raises:
        UserError: if the training fails by a user's mistake, with its sentence.
        RuntimeError: if it fails otherwise; the reason is in what the processes printed.
    """
    if processes == 1 and not torchrun:
        from tsn.training.train import train

        train(task)
        return
    folder = Path(task.files.model).parent
    task_file, error_file = folder / ".task.json", folder / ".task.error"
    write_task(task_file, task)
    error_file.unlink(missing_ok=True)
    command = torchrun or torchrun_command(processes)
    program = ("-m", "tsn.training", str(task_file), "--error-file", str(error_file))
    try:
        done = subprocess.run(
            [*command, *program],
            check=False,
            preexec_fn=_end_with_parent,
            pass_fds=claimed(),  # the GPUs are free when torchrun has ended its processes
        )
        if error_file.exists():
            raise UserError(error_file.read_text(encoding="utf-8", errors="surrogateescape"))
        if done.returncode:
            raise RuntimeError(f"{processes} training processes ended with {done.returncode}")
    finally:
        task_file.unlink(missing_ok=True)
        error_file.unlink(missing_ok=True)


def torchrun_command(processes: int) -> tuple[str, ...]:
    """Torchrun for several processes of this machine, which meet on a port that is free."""
    return (
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--standalone", "--nproc-per-node", str(processes)),
    )


def srun_torchrun(nodes: int, per_node: int, gpus: int, threads: int) -> tuple[str, ...]:
    """Srun starts one torchrun on every node, which starts the training processes there.

    Args:
        nodes: nodes of the allocation.
        per_node: training processes on each.
        gpus: GPUs of each node, 0 for none.
        threads: cores of each node.

    Raises:
        UserError: outside a SLURM job.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        raise UserError(
            f"resource nodes: the training is to run on {nodes} nodes, and this is no SLURM job; "
            "use --workflow-profile profiles/slurm, or one node"
        )
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    step += [f"--cpus-per-task={threads}", "--kill-on-bad-exit=1"]
    step += [f"--gpus-per-node={gpus}"] if gpus else []
    return (
        *step,
        *(sys.executable, "-m", "torch.distributed.run"),
        *("--nnodes", str(nodes), "--nproc-per-node", str(per_node)),
        *("--rdzv-backend", "c10d", "--rdzv-id", job),
        *("--rdzv-endpoint", f"{socket.gethostname()}:{_free_port()}"),
    )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


def _end_with_parent() -> None:
    """On Linux torchrun gets a SIGTERM when this process is killed.

    Otherwise its processes would train on, beside those of the next attempt.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
