"""A job ends when the run that started it has been killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tsn.runtime import parent_watch

RUN = """
import subprocess, sys, time
from tsn.runtime.parent_watch import announce_run
announce_run()
job = "from tsn.runtime.job import job\\nimport time\\nwith job(%r, 'x'):\\n"
job += "    print('started', flush=True); time.sleep(120)"
subprocess.Popen(["bash", "-c", '"$0" -c "$1"; true', sys.executable, job % sys.argv[1]])
time.sleep(120)
"""


def wait_for(condition, what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_a_job_does_not_outlive_its_killed_run(tmp_path):
    log = tmp_path / "a.log"
    run = subprocess.Popen([sys.executable, "-c", RUN, log])
    wait_for(lambda: log.exists() and "started" in log.read_text(), "the job did not start")
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: "and so does this job" in log.read_text(), "the job goes on")


def test_the_end_of_a_process_is_seen_by_polling_too(monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.setattr(parent_watch, "_POLL_SECONDS", 0.01)
    other = subprocess.Popen(["sleep", "120"])
    wait = parent_watch._waiter(other.pid)
    other.kill()
    other.wait()
    wait()
    with pytest.raises(ProcessLookupError):
        parent_watch._waiter(other.pid)


def test_without_a_run_nothing_is_watched(monkeypatch):
    monkeypatch.delenv(parent_watch.RUN_PID, raising=False)
    monkeypatch.setattr(parent_watch, "_waiter", None)
    parent_watch.end_with_run()
