"""Which GPUs may be used, and that two jobs never share one. The GPUs are a fake nvidia-smi's."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tsn.runtime.errors import UserError
from tsn.runtime.gpus import VISIBLE, Gpu, _installed, claim, usable_gpus

RUN = os.getpid()
"""Claims hold on the whole machine: other runs of these tests have other GPUs."""

A, B, MIG_1, MIG_2 = f"GPU-aaaa-{RUN}", f"GPU-bbbb-{RUN}", f"MIG-1111-{RUN}", f"MIG-2222-{RUN}"
TWO = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
"""
WITH_MIG = f"""\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: {A})
  MIG 3g.20gb     Device  0: (UUID: {MIG_1})
  MIG 3g.20gb     Device  1: (UUID: {MIG_2})
GPU 1: NVIDIA A100-SXM4-40GB (UUID: {B})
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that gives the machine GPUs; nvidia-smi is the test's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv(VISIBLE, raising=False)

    def install(listing: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{listing}END\n")
        program.chmod(0o755)
        _installed.cache_clear()

    install("")
    yield install
    _installed.cache_clear()


def names() -> list[str]:
    return [gpu.name for gpu in usable_gpus()]


def test_all_gpus_count_and_of_one_in_mig_mode_its_instances(machine):
    machine(TWO)
    assert names() == [A, B]
    machine(WITH_MIG)
    assert names() == [MIG_1, MIG_2, B]


@pytest.mark.parametrize(
    ("outer", "expected"),
    [
        ("1", [Gpu("1", B)]),
        ("1, 0", [Gpu("1", B), Gpu("0", MIG_1)]),
        ("GPU-bb", [Gpu("GPU-bb", B)]),
        (MIG_2, [Gpu(MIG_2, MIG_2)]),
        ("1,-1,0", [Gpu("1", B)]),
        ("7", []),
        ("", []),
    ],
    ids=["index", "order", "uuid_prefix", "mig", "stops_at_minus_one", "absent", "none"],
)
def test_an_outer_choice_is_respected_as_cuda_reads_it(machine, monkeypatch, outer, expected):
    machine(WITH_MIG)
    monkeypatch.setenv(VISIBLE, outer)
    assert usable_gpus() == expected


def test_without_a_gpu_the_job_runs_and_sees_none(machine):
    with claim(1) as held:
        assert held == [] and os.environ[VISIBLE] == ""
    assert VISIBLE not in os.environ


def test_where_nvidia_smi_does_not_run_no_gpu_is_hidden(machine, tmp_path, monkeypatch):
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    monkeypatch.setenv(VISIBLE, "3")
    with claim(0), claim(1):
        assert os.environ[VISIBLE] == "3"


def test_a_job_that_asks_for_none_sees_none(machine):
    machine(TWO)
    with claim(0) as held:
        assert held == [] and os.environ[VISIBLE] == ""


def test_claims_within_one_another_get_different_gpus(machine, monkeypatch):
    machine(TWO)
    with claim(1) as first:
        assert os.environ[VISIBLE] == first[0]
        with monkeypatch.context() as other_job:
            other_job.delenv(VISIBLE)
            with claim(1) as second:
                assert {*first, *second} == {A, B}


def test_more_than_there_are_is_a_mistake(machine):
    machine(TWO)
    with pytest.raises(UserError, match="asks for 3 GPUs and 2 can be used here"), claim(3):
        pass


JOB = """
import os, sys, time
from pathlib import Path
from types import SimpleNamespace
from tsn.runtime.gpus import claim
number, together = int(sys.argv[1]), int(sys.argv[2])
with claim(together) as held:
    for name in held:
        # Fails if another job holds the same GPU now.
        os.close(os.open(f"in-use-{name}", os.O_CREAT | os.O_EXCL))
    time.sleep(0.3)
    for name in held:
        os.unlink(f"in-use-{name}")
    Path(f"done-{number}").write_text(os.environ["CUDA_VISIBLE_DEVICES"])
"""


def start(tmp_path: Path, number: int, together: int = 1) -> subprocess.Popen:
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.getenv("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(number), str(together)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_seven_jobs_on_two_gpus_never_share_one(machine, tmp_path):
    """Among them two that want both: they, too, come to their turn."""
    machine(TWO)
    jobs = [start(tmp_path, number, 2 if number in (1, 4) else 1) for number in range(7)]
    for job in jobs:
        assert job.wait(timeout=60) == 0, job.stderr.read()
        job.stderr.close()
    used = {number: (tmp_path / f"done-{number}").read_text() for number in range(7)}
    assert used[1] == used[4] == f"{A},{B}"
    assert set(used.values()) == {A, B, f"{A},{B}"}


HOLD = JOB.replace("time.sleep(0.3)", "print('holding', flush=True); time.sleep(600)")
WITH_CHILD = """
import subprocess, sys
from tsn.runtime.gpus import claim, claimed
with claim(1):
    child = [sys.executable, "-c", "print('holding', flush=True); input()"]
    subprocess.run(child, pass_fds=claimed())
"""


@contextmanager
def holding(tmp_path: Path, program: str, **environment: str) -> Iterator[subprocess.Popen]:
    """A job that has claimed a GPU."""
    path = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program, "0", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"holding\n"
        yield holder
        holder.kill()


def is_free(monkeypatch) -> bool:
    """Whether a GPU can be claimed at once."""

    class Waiting(Exception):
        pass

    def no_longer(seconds):
        raise Waiting

    with monkeypatch.context() as patch:
        patch.setattr("tsn.runtime.gpus.time", SimpleNamespace(sleep=no_longer))
        try:
            with claim(1):
                return True
        except Waiting:
            return False


def test_a_killed_job_frees_its_gpu(machine, tmp_path, monkeypatch):
    machine(TWO.splitlines(keepends=True)[0])
    with holding(tmp_path, HOLD) as holder:
        assert not is_free(monkeypatch)
        holder.send_signal(signal.SIGKILL)
    assert is_free(monkeypatch)


def test_a_claim_does_not_depend_on_tmpdir(machine, tmp_path, monkeypatch):
    machine(TWO.splitlines(keepends=True)[0])
    (tmp_path / "elsewhere").mkdir()
    with holding(tmp_path, HOLD, TMPDIR=str(tmp_path / "elsewhere")):
        assert not is_free(monkeypatch)


def test_a_claim_outlives_a_killed_job_in_the_processes_it_was_passed_to(
    machine, tmp_path, monkeypatch
):
    machine(TWO.splitlines(keepends=True)[0])
    with holding(tmp_path, WITH_CHILD) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert not is_free(monkeypatch)
        holder.stdin.close()  # ends the child
        holder.stdout.read()
    assert is_free(monkeypatch)


def test_two_names_of_one_gpu_are_one_lock(machine, monkeypatch):
    """As in two SLURM jobs of one node, which both call their GPU 0."""
    machine(TWO)
    with claim(1), monkeypatch.context() as other:  # undone before the claim ends
        other.setenv(VISIBLE, "0")
        assert not is_free(other)


def test_cuda_counts_as_nvidia_smi_does(machine):
    machine(TWO)
    with claim(1):
        assert os.environ["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "CUDA_DEVICE_ORDER" not in os.environ


def test_without_nvidia_smi_the_driver_is_asked(machine, tmp_path, monkeypatch):
    (tmp_path / "bin" / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    asked = tmp_path / "python"
    asked.write_text(f"#!/bin/sh\ncase $1 in *cuda_driver.py) echo 'GPU 0: (UUID: {A})';; esac\n")
    asked.chmod(0o755)
    monkeypatch.setattr("tsn.runtime.gpus.sys", SimpleNamespace(executable=str(asked)))
    with claim(1) as held:
        assert held == [A]
