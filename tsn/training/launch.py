"""Starting a training in this process, or in several that torchrun starts."""

import ctypes
import signal
import subprocess
import sys
from pathlib import Path

from tsn.runtime.errors import UserError
from tsn.training.task import Task, write_task

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def launch(task: Task, processes: int, torchrun: tuple[str, ...] = ()) -> None:
    """Train, in `processes` processes of this machine if that is more than one.

    Args:
        task: the job; its `threads` are those of each process.
        processes: one per GPU.
        torchrun: the whole command that starts `torchrun`, with its options, where the default
            will not do: ("srun", "torchrun", "--nnodes", "2", …).

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
        done = subprocess.run([*command, *program], check=False, preexec_fn=_end_with_parent)
        if error_file.exists():
            raise UserError(error_file.read_text(encoding="utf-8", errors="surrogateescape"))
        if done.returncode:
            raise RuntimeError(f"{processes} training processes ended with {done.returncode}")
    finally:
        task_file.unlink(missing_ok=True)
        error_file.unlink(missing_ok=True)


def _end_with_parent() -> None:
    """Where the system can (Linux), torchrun gets a SIGTERM when this process is killed.

    Otherwise its processes would train on, beside those of the next attempt.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def torchrun_command(processes: int) -> tuple[str, ...]:
    """Torchrun for several processes of this machine, which meet on a port that is free."""
    return (
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        str(processes),
    )
