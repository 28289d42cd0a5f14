"""How far a run is, told from a dry run, logs and benchmarks."""

import os
import re
import time
from pathlib import Path

import pytest

from tsn.status import Job, dataset_of, describe, left_jobs, main, read_progress, reason, time_left

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
    assert read_progress(one, run_is_on=True).state == "waiting"
    write(one.log, "12:00:00 flow 0001: 3/8 videos, 0.5/s, ETA 0:00:10\n", age=30)
    assert read_progress(one, run_is_on=True).state == "running"
    assert read_progress(one, run_is_on=True).line.endswith("3/8 videos, 0.5/s, ETA 0:00:10")
    assert read_progress(one, run_is_on=False).state == "stopped"
    write(one.log, "12:00:00 flow\nerror: flow.tau: too large\n")
    assert read_progress(one, run_is_on=True).state == "failed"
    assert read_progress(one, run_is_on=True).line == "flow.tau: too large"


def test_a_job_that_must_run_again_waits_until_its_log_is_new(tmp_path):
    one = job(tmp_path)
    finish(one, 10, age=100)
    assert read_progress(one, run_is_on=True).state == "waiting"
    write(one.log, "12:00:00 flow 0001\n")
    assert read_progress(one, run_is_on=True).state == "running"


def test_the_time_left_is_shared_by_the_cores_and_no_less_than_the_stages_in_turn(tmp_path):
    usual = {"compute_flow": 60.0, "train_model": 300.0}
    flow = [job(tmp_path, name=f"{n:04}") for n in range(10)]
    waiting = [(one, read_progress(one, run_is_on=True)) for one in flow]
    assert time_left(waiting, usual, cores=1) == 600
    assert time_left(waiting, usual, cores=5) == 120
    train = job(tmp_path, "train_model", "tsn.split1.rgb", threads=4)
    waiting.append((train, read_progress(train, run_is_on=True)))
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


def test_a_running_job_foretells_its_own_time_and_that_of_its_like(tmp_path):
    running, waiting = job(tmp_path, name="0000"), job(tmp_path, name="0001")
    write(running.log, "12:00:00 flow 0000: 2/8 videos, 0.1/s, ETA 0:01:00, loss 1.2\n", age=20)
    write(tmp_path / ".snakemake" / "locks" / "0.input.lock", "")
    # 1:00 for six of eight videos is 1:20 for all; 0:40 and 1:20 are left.
    text = describe("clips", [running, waiting], cores=1, root=tmp_path)
    assert re.match("clips: 0 of 2 jobs done, about 0:0(2:00|1:59) left with --cores 1\n", text)


def test_the_disk_that_all_shards_need_follows_from_those_that_are_there(tmp_path):
    left = [job(tmp_path, name=name) for name in ("0001", "0002", "0003")]
    left += [job(tmp_path, "compute_warped_flow", "0000")]
    assert "shards:" not in describe("clips", left, cores=1, root=tmp_path)
    for name, size in (("0000", 10), ("0001", 30)):  # 0001 is made anew
        shard = tmp_path / f"results/clips/shards/flow/{name}.h5"
        write(shard, "")
        os.truncate(shard, size * 10**6)
    text = describe("clips", left, cores=1, root=tmp_path)
    assert "0.04 GB on disk, about 0.08 GB when all are there, and those of warped_flow; " in text


def test_a_finished_run_says_so(tmp_path):
    finish(job(tmp_path), 60)
    assert "1 of 1 jobs done, nothing is left" in describe("clips", [], 4, tmp_path)


@pytest.mark.parametrize(
    ("target", "dataset"),
    [
        ("results/fusion_ucf101.json", "ucf101"),
        ("results/fusion_my_set.html", "my_set"),
        ("results/fusion_ucf101.md", "ucf101"),
        ("results/tables/state-of-the-art_my_set.md", "my_set"),
        ("results/tables/training_ucf101.json", "ucf101"),
        ("results/ucf101/two_stream/fusion.json", "ucf101"),
        ("results/a.json/tsn/fusion.json", "a.json"),
    ],
)
def test_a_target_names_its_data_set(target, dataset):
    assert dataset_of(target) == dataset


@pytest.mark.parametrize("target", ["all_of_it", "results/tables/training.md", "results/x.json"])
def test_a_target_of_no_data_set_is_an_error(capsys, target):
    assert main([target]) == 1
    assert f"{target}: name a file below results/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--directory", "nowhere"], "--directory nowhere: there is no such folder"),
        (["--snakefile", "nowhere.smk"], "--snakefile nowhere.smk: there is no such file"),
        (["--snakefile", "."], "--snakefile .: there is no such file"),
    ],
)
def test_a_folder_or_snakefile_that_is_not_there_is_named(
    capsys, tmp_path, monkeypatch, arguments, words
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert f"error: {words}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cores", ["0", "-1", "two", "1.5", "99999999"])
def test_cores_are_a_whole_number_above_0(capsys, cores):
    with pytest.raises(SystemExit):
        main([f"--cores={cores}"])
    assert f"'{cores}' is not a whole number above 0" in capsys.readouterr().err


def test_why_snakemake_cannot_plan_is_one_sentence(tmp_path, capsys):
    text = "print('error: datasets: there is no mine')\nraise SystemExit(1)\n"
    (tmp_path / "Snakefile").write_text(text, encoding="utf-8")
    where = ["--snakefile", str(tmp_path / "Snakefile"), "--directory", str(tmp_path)]
    assert main(["results/mine/tsn/fusion.json", *where]) == 1
    said = capsys.readouterr().err
    assert said.endswith("cannot plan results/mine/tsn/fusion.json: datasets: there is no mine\n")


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("error: a\nTraceback:\n  File\nerror: mine: no such\n", "mine: no such"),
        (
            "usage: [targets]\nstatus.py: error: unrecognized arguments: --b\n",
            "unrecognized arguments: --b",
        ),
        (
            "Traceback:\n  File \"a\"\n\nFileNotFoundError: No such file: 'my.yaml'\n",
            "No such file: 'my.yaml'",
        ),
        (
            'WorkflowError in file "a.smk", line 5:\nseed: is empty\n  File "a.smk"\n',
            "seed: is empty",
        ),
        ("AnException:\ntwo rules\nfor one file\n\nmore", "two rules for one file"),
        ("?", "\n?"),
    ],
)
def test_why_snakemake_stops_is_one_line(said, line):
    assert reason(said) == line


def test_it_runs_where_the_home_folder_cannot_be_written(tmp_path, monkeypatch, capsys):
    (tmp_path / "home").touch()  # so that no folder can be made in it
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text("rule:\n    output: 'results/mine/tsn/fusion.json'\n", encoding="utf-8")
    where = ["--snakefile", str(snakefile), "--directory", str(tmp_path)]
    assert main(["results/mine/tsn/fusion.json", *where]) == 0
    assert capsys.readouterr().out.startswith("mine: 0 of 1 jobs done")


def test_a_run_with_another_snakefile_in_another_folder_is_shown(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "other.smk").write_text(
        "rule compute_flow:\n"
        "    output: 'results/tiny/shards/flow/0001.h5'\n"
        "    log: 'results/tiny/logs/compute_flow/0001.log'\n"
        "    shell: 'touch {output}'\n"
    )
    write(tmp_path / "run/results/tiny/logs/compute_flow/0001.log", "error: it went wrong\n")
    target = ["results/tiny/shards/flow/0001.h5"]
    where = ["-s", str(tmp_path / "other.smk"), "-d", str(tmp_path / "run")]
    assert main([*target, *where]) == 0
    text = capsys.readouterr().out
    assert text.startswith("tiny: 0 of 1 jobs done, an unknown time for compute_flow")
    assert "it went wrong" in text
