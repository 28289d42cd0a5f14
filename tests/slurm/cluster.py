"""A real SLURM on this machine, in a folder of its own: a controller and two nodes on loopback.

It needs the programs of Debian's slurm-wlm and munge, and no rights, no systemd and no file below
/etc: every daemon runs as the user who starts it. Each node has one fake GPU, a plain file, so
that requests for GPUs are granted and counted. Cores and memory are claimed, not there.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue")
NODES = ("node1", "node2")
CORES, MEMORY_MB = 16, 64_000

CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} {size}
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} {size}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """What of SLURM and munge this machine lacks."""
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None]


@dataclass(frozen=True)
class Job:
    """A job as squeue tells it: `what` is rule and wildcards, `memory` is in MB, as in "3000M"."""

    id: str
    state: str
    what: str
    node: str
    memory: str
    gpus: str

    @property
    def rule(self) -> str:
        """The rule it runs."""
        return self.what.removeprefix("rule_").split("_wildcards_")[0]

    @property
    def memory_mb(self) -> int:
        """The memory it asked for."""
        return int(self.memory.removesuffix("M"))

    @property
    def with_gpu(self) -> bool:
        """Whether it asked for a GPU."""
        return "gpu" in self.gpus


class Cluster:
    """Starts on construction; `stop` ends every daemon.

    Attributes:
        environment: for programs that talk to this cluster.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM_")},
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
        }
        self._write_files()
        self._write_srun()
        try:
            self._start_munge()
            self._command("slurmctld")
            for node in NODES:
                self._command("slurmd", "-N", node)
            self.wait_for(lambda: set(self.states().values()) == {"idle"}, "idle nodes")
        except BaseException:
            self.stop()
            raise

    def command(self, *arguments: str) -> str:
        """Run one of SLURM's programs and return what it prints."""
        return self._command(*arguments).stdout

    def states(self) -> dict[str, str]:
        """Node -> its state, in sinfo's words."""
        rows = self.command("sinfo", "--noheader", "--Node", "--format=%N %T").splitlines()
        return dict(row.split() for row in rows)

    def jobs(self) -> list[Job]:
        """All jobs of this cluster, in the order of their ids, finished ones too."""
        fields = ("JobID", "State", "Comment", "NodeList", "MinMemory", "tres-per-job")
        form = ",".join(f"{field}:100" for field in fields)
        rows = self.command("squeue", "--noheader", "--states=all", f"--Format={form}").split("\n")
        cells = [[row[n : n + 100].strip() for n in range(0, 600, 100)] for row in rows if row]
        return sorted((Job(*row) for row in cells), key=lambda job: int(job.id))

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Wait until the condition is true.

        Raises:
            TimeoutError: with the ends of the daemons' logs.
        """
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                logs = sorted(self._folder.glob("*.log"))
                tails = [f"{log.name}:\n{log.read_text()[-1500:]}" for log in logs]
                raise TimeoutError(f"no {what} after {seconds} s\n" + "\n".join(tails))
            time.sleep(0.5)

    def stop(self) -> None:
        """Cancel all jobs and end the daemons that were started, and only those."""
        subprocess.run(
            ["scancel", f"--user={_user()}"], env=self.environment, capture_output=True, timeout=30
        )
        time.sleep(1)
        for name in (*NODES, "slurmctld", "munged"):
            try:
                os.kill(int((self._folder / f"{name}.pid").read_text()), signal.SIGTERM)
            except (OSError, ValueError):
                continue

    def _command(self, *arguments: str) -> subprocess.CompletedProcess:
        done = subprocess.run(
            arguments, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def _write_files(self) -> None:
        folder = self._folder
        folder.chmod(0o755)  # munge refuses a socket that others cannot reach
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for node in NODES:
            (folder / f"gpu-{node}").touch()
        gres = [f"NodeName={node} Name=gpu File={folder}/gpu-{node}" for node in NODES]
        (folder / "gres.conf").write_text("\n".join(gres) + "\n")
        conf = CONF.format(
            host=socket.gethostname().split(".")[0],
            user=_user(),
            folder=folder,
            ports=_free_ports(3),
            nodes=NODES,
            size=f"CPUs={CORES} RealMemory={MEMORY_MB} Gres=gpu:1",
        )
        (folder / "slurm.conf").write_text(conf)

    def _write_srun(self) -> None:
        # The executor plugin hides SLURM_CONF from srun, which then looks below /etc.
        srun = self._folder / "bin" / "srun"
        srun.parent.mkdir()
        conf, real = self.environment["SLURM_CONF"], shutil.which("srun")
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={conf} exec {real} "$@"\n')
        srun.chmod(0o755)

    def _start_munge(self) -> None:
        key = self._folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        # Its own socket: one of the machine, if any, is left alone. --force: below /tmp others may
        # write, which munge would not accept.
        files = {
            "socket": "munge.sock",
            "key-file": "munge.key",
            "pid-file": "munged.pid",
            "seed-file": "munge.seed",
            "log-file": "munge.log",
        }
        options = [f"--{option}={self._folder / name}" for option, name in files.items()]
        self._command("munged", "--force", *options)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
