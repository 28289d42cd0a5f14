"""Snakemake killed at random moments, and the same command typed again."""

import contextlib
import hashlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.workflow.pipeline import REPOSITORY, Pipeline
from tsn.evaluation.scores import read_scores

TARGET = "results/fusion_tiny.json"
WAYS = [
    ("main", signal.SIGKILL),
    ("main", signal.SIGTERM),
    ("main", signal.SIGINT),
    ("job", signal.SIGKILL),
    ("job", signal.SIGTERM),
    ("all", signal.SIGKILL),
    ("all", signal.SIGINT),  # Ctrl-C
]
PATIENCE = 600
"""Seconds that a run may take to end."""


@dataclass(frozen=True)
class Kill:
    """Who was killed how, which rules were at work, and whether Snakemake left its lock."""

    victim: str
    signal: str
    at_work: tuple[str, ...]
    locked: bool


def kill_once(
    pipeline: Pipeline,
    way: tuple[str, signal.Signals],
    jobs: int,
    delay: float,
    target: str = TARGET,
) -> Kill | None:
    """Type the command; `delay` seconds after so many jobs have started, kill.

    Returns:
        None if the run was over before, or went on to its end in spite of it.

    Raises:
        AssertionError: if the run failed before it was killed.
    """
    victim, how = way
    pipeline.write_config()
    log = pipeline.folder / "snakemake.log"
    # A shell starts what runs in the background with SIGINT ignored, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("w") as file:
        run = psutil.Popen(
            [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile",
             "--cores", "2", target, "--configfile", "config.yaml"],
            cwd=pipeline.folder, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    while run.poll() is None and len(_started(log)) < jobs:
        time.sleep(0.1)
    time.sleep(delay)
    processes = _jobs(run)
    while victim == "job" and not processes and run.poll() is None:
        time.sleep(0.05)
        processes = _jobs(run)
    if run.poll() is not None:
        assert run.returncode == 0, log.read_text()
        return None
    at_work = _at_work(log)
    for process in {"main": [run], "job": processes[:1], "all": [run, *_below(run)]}[victim]:
        _signal(process, how)
    run.wait(PATIENCE)
    if run.returncode == 0:
        return None
    # The command follows at once: orphans may still be there.
    locked = any((pipeline.folder / ".snakemake" / "locks").glob("*"))
    return Kill(victim, how.name, at_work, locked)


def go_on(pipeline: Pipeline, kill: Kill, target: str = TARGET) -> None:
    """What a user types before the same command, where Snakemake left its lock."""
    if kill.locked:
        done = pipeline.snakemake(target)
        assert done.returncode != 0 and "--unlock" in done.stdout + done.stderr
        pipeline.run("--unlock")


def _started(log: Path) -> list[tuple[str, str]]:
    """(rule, job number) of the jobs that Snakemake says it has started."""
    return re.findall(
        r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    jobid: (\d+)", log.read_text(), re.M
    )


def _at_work(log: Path) -> tuple[str, ...]:
    over = set(re.findall(r"^Finished jobid: (\d+)", log.read_text(), re.M))
    return tuple(sorted({rule for rule, number in _started(log) if number not in over}))


def _below(run: psutil.Process) -> list[psutil.Process]:
    try:
        return run.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _jobs(run: psutil.Process) -> list[psutil.Process]:
    """Processes of jobs, decoders among them, in no particular order."""
    found = [process for process in _below(run) if _is_job(process)]
    random.shuffle(found)
    return found


def _is_job(process: psutil.Process) -> bool:
    try:
        words = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "/.snakemake/scripts/" in words or "tsn.video.decoder_process" in words


def _signal(process: psutil.Process, how: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(how)


def outcome(folder: Path) -> dict:
    """What must not depend on how often a run was stopped."""
    shards = sorted((folder / "results/tiny/shards").glob("*/*.h5"))
    scores = sorted((folder / "results/tiny/tsn").glob("split1/*/scores.h5"))
    fusion = json.loads((folder / TARGET).read_text())
    return {
        "shards": {str(p.relative_to(folder)): _sha256(p) for p in shards},
        "scores": {str(p.relative_to(folder)): read_scores(p).values.tolist() for p in scores},
        "fusion": {key: fusion[key] for key in ("splits", "mean", "quarantined")},
    }


def left_behind(folder: Path) -> list[str]:
    """Temporary files and training states below the results; Snakemake dates folders by a file."""
    found = (p for p in (folder / "results").rglob(".*") if p.is_file())
    return [str(p) for p in found if p.name != ".snakemake_timestamp"]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
