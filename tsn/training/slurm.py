"""Training on several nodes of a SLURM allocation: the command that starts torchrun on each."""

import os
import socket
import sys

from tsn.runtime.errors import UserError


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
    with socket.socket() as one:
        one.bind(("", 0))
        return one.getsockname()[1]
