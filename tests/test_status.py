"""How far a run is, told from a dry run, logs and benchmarks."""

import os
import time
from pathlib import Path

from tsn.status import Job, describe, left_jobs, look, main, time_left

DRY_RUN = """\
Building DAG of jobs...
Job stats:
job             count
------------  -------
compute_flow        1

[Tue Nov 24 20:41:03 2026]
rule compute_flow:
    input: tsn/shards/build.py
    output: results/clips/shards/flow/0001.h5
    log: results/clips/logs/compute_flow/0001.log
    jobid: 3
    benchmark: results/clips/benchmarks/compute_flow/0001.tsv
    reason: Missing output files: results/clips/shards/flow/0001.h5
    wildcards: dataset=clips, shard=0001
    threads: 4
    resources: tmpdir=<TBD>, gpu=1, mem_mb=3000
[Tue Nov 24 20:41:03 2026]
localrule publish_fusion:
    output: results/fusion_clips.json
    log: results/clips/logs/publish_fusion.log
    jobid: 0
    reason: Missing output files: results/fusion_clips.json
    resources: tmpdir=<TBD>
"""


def job(root: Path, rule="compute_flow", name="0001", threads=1) -> Job:
    results = root / "results" / "clips"
    log, benchmark = results / "logs" / rule, results / "benchmarks" / rule
    return Job(rule, log / f"{name}.log", benchmark / f"{name}.tsv", threads)


def write(path: Path, text: str, age: float = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    then = time.time() - age
    os.utime(path, (then, then))


def finish(one: Job, seconds: float, age: float = 0) -> None:
    write(one.log, "12:00:00 done\n", age + 1)
    write(one.benchmark, f"s\th:m:s\n{seconds}\t0:00:00\n", age)


def test_the_dry_run_names_the_jobs_that_are_left():
    flow, publish = left_jobs(DRY_RUN)
    assert flow == Job(
        "compute_flow",
        Path("results/clips/logs/compute_flow/0001.log"),
        Path("results/clips/benchmarks/compute_flow/0001.tsv"),
        4,
    )
    assert (publish.rule, publish.benchmark, publish.threads) == ("publish_fusion", None, 1)


def test_a_log_tells_what_a_job_does(tmp_path):
    one = job(tmp_path)
    assert look(one, run_is_on=True).state == "waiting"
    write(one.log, "12:00:00 flow 0001: 3/8 videos, 0.5/s, ETA 0:00:10\n", age=30)
    assert look(one, run_is_on=True).state == "running"
    assert look(one, run_is_on=True).line.endswith("3/8 videos, 0.5/s, ETA 0:00:10")
    assert look(one, run_is_on=False).state == "stopped"
    write(one.log, "12:00:00 flow\nerror: flow.tau: too large\n")
    assert look(one, run_is_on=True).state == "failed"
    assert look(one, run_is_on=True).line == "flow.tau: too large"


def test_a_job_that_must_run_again_waits_until_its_log_is_new(tmp_path):
    one = job(tmp_path)
    finish(one, 10, age=100)
    assert look(one, run_is_on=True).state == "waiting"
    write(one.log, "12:00:00 flow 0001\n")
    assert look(one, run_is_on=True).state == "running"


def test_the_time_left_is_shared_by_the_cores_and_no_less_than_the_stages_in_turn(tmp_path):
    usual = {"compute_flow": 60.0, "train_model": 300.0}
    flow = [job(tmp_path, name=f"{n:04}") for n in range(10)]
    waiting = [(one, look(one, run_is_on=True)) for one in flow]
    assert time_left(waiting, usual, cores=1) == 600
    assert time_left(waiting, usual, cores=5) == 120
    train = job(tmp_path, "train_model", "tsn.split1.rgb", threads=4)
    waiting.append((train, look(train, run_is_on=True)))
    assert time_left(waiting, usual, cores=100) == 360
    assert time_left(waiting, usual, cores=2) == (600 + 300 * 2) / 2


def test_the_report_counts_per_rule_and_shows_what_runs_and_what_failed(tmp_path):
    for n in range(3):
        finish(job(tmp_path, name=f"{n:04}"), 60 + n)
    left = [job(tmp_path, name="0003"), job(tmp_path, name="0004"), job(tmp_path, name="0005")]
    write(left[0].log, "12:00:00 flow 0003: 3/8 videos\n")
    write(left[1].log, "error: 0004 went wrong\n")
    write(tmp_path / ".snakemake" / "locks" / "0.input.lock", "")
    quarantine = tmp_path / "results" / "clips" / "quarantine.tsv"
    write(quarantine, "id\tstream\tstatus\tmessage\na/b\trgb\tempty\tnothing in it\n")
    text = describe("clips", left, cores=1, root=tmp_path)
    assert text.startswith("clips: 3 of 6 jobs done, about 0:02:32 left with --cores 1\n")
    row = next(line.split() for line in text.splitlines() if line.startswith("compute_flow"))
    assert row == ["compute_flow", "3", "1", "3", "1", "0:01:01"]
    assert "flow 0003: 3/8 videos" in text and "0004 went wrong" in text
    assert "videos that cannot be used: 1 (" in text


def test_a_finished_run_says_so(tmp_path):
    finish(job(tmp_path), 60)
    assert "1 of 1 jobs done, nothing is left" in describe("clips", [], 4, tmp_path)


def test_a_target_that_is_none_is_told(capsys):
    assert main(["all_of_it"]) == 1
    assert "all_of_it: name a file below results/" in capsys.readouterr().out
