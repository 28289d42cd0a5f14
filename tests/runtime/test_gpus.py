"""Which GPUs may be used, and that two jobs never share one. The GPUs are a fake nvidia-smi's."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tsn.runtime.errors import UserError
from tsn.runtime.gpus import VISIBLE, Gpu, _installed, claim, usable_gpus

TWO = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""
WITH_MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aaaa)
  MIG 3g.20gb     Device  0: (UUID: MIG-1111)
  MIG 3g.20gb     Device  1: (UUID: MIG-2222)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb)
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that gives the machine GPUs; locks and nvidia-smi are the test's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
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
    assert names() == ["GPU-aaaa", "GPU-bbbb"]
    machine(WITH_MIG)
    assert names() == ["MIG-1111", "MIG-2222", "GPU-bbbb"]


@pytest.mark.parametrize(
    ("outer", "expected"),
    [
        ("1", [Gpu("1", "GPU-bbbb")]),
        ("1, 0", [Gpu("1", "GPU-bbbb"), Gpu("0", "MIG-1111")]),
        ("GPU-bb", [Gpu("GPU-bb", "GPU-bbbb")]),
        ("MIG-2222", [Gpu("MIG-2222", "MIG-2222")]),
        ("1,-1,0", [Gpu("1", "GPU-bbbb")]),
        ("7", []),
        ("", []),
    ],
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
                assert {*first, *second} == {"GPU-aaaa", "GPU-bbbb"}


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
    assert used[1] == used[4] == "GPU-aaaa,GPU-bbbb"
    assert set(used.values()) == {"GPU-aaaa", "GPU-bbbb", "GPU-aaaa,GPU-bbbb"}


def test_a_killed_job_frees_its_gpu(machine, tmp_path):
    machine(TWO.splitlines(keepends=True)[0])
    hold = JOB.replace("time.sleep(0.3)", "print('holding', flush=True); time.sleep(600)")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", hold, "0", "1"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout.readline() == b"holding\n"
        holder.send_signal(signal.SIGKILL)
    with claim(1) as held:
        assert held == ["GPU-aaaa"]


def test_two_names_of_one_gpu_are_one_lock(machine, monkeypatch):
    """As in two SLURM jobs of one node, which both call their GPU 0."""
    machine(TWO)

    class Waiting(Exception):
        pass

    def no_longer(seconds):
        raise Waiting

    with claim(1):
        monkeypatch.setenv(VISIBLE, "0")
        monkeypatch.setattr("tsn.runtime.gpus.time", SimpleNamespace(sleep=no_longer))
        with pytest.raises(Waiting), claim(1):
            pass
