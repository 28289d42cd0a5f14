"""Progress of a run: `python -m tsn.status results/fusion_ucf101.json --cores 16`.

Asks Snakemake what is left (a dry run takes no lock, so that this works beside a run) and reads the
logs and benchmarks of the jobs. Writes nothing.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tsn.runtime.caches import writable_cache
from tsn.runtime.command_line import Parser, run_command
from tsn.runtime.errors import UserError
from tsn.runtime.files import read_tsv
from tsn.runtime.job import benchmark_seconds
from tsn.runtime.progress import duration

_TARGETS = tuple(
    re.compile(pattern)
    for pattern in (
        r"results/fusion_(?P<dataset>[^/]+)\.(?:json|md|html)",
        # The name of a table has no underscore, that of a data set may have some.
        r"results/tables/[^/_]+_(?P<dataset>[^/]+)\.(?:json|md)",
        r"results/(?!tables/)(?P<dataset>[^/]+)/.+",
    )
)


_ETA = re.compile(r"(\d+)/(\d+) [^,]+, [^,]+/s, ETA (\d+):(\d\d):(\d\d)")
"""What `tsn.runtime.progress.Meter` writes: done, of how many, and the time that is left."""

_REASON = re.compile(
    r"^(?:\S+: )?error: (.*)|^\w*(?:Error|Exception)(?: in file .*)?:\s+(.+(?:\n\S.*)*)",
    re.MULTILINE,
)
"""What stopped Snakemake: our sentence, that of its parser, or the end of a traceback."""

_STREAMS = {"decode_frames": "rgb", "compute_flow": "flow", "compute_warped_flow": "warped_flow"}
"""Rule -> folder of the shards that it makes."""


@dataclass(frozen=True)
class Job:
    """A job that is left to do: its rule, its files, the cores that it takes."""

    rule: str
    log: Path | None
    benchmark: Path | None
    threads: int


@dataclass(frozen=True)
class Seen:
    """What a job's log shows.

    Attributes:
        state: "waiting", "running", "stopped" (killed, or its run ended) or "failed".
        line: the last line of the log.
        age: seconds since that line.
        left, whole: seconds that the job still takes and takes in all, by the rate in that line.
    """

    state: str
    line: str = ""
    age: float = 0.0
    left: float | None = None
    whole: float | None = None


def dataset_of(target: str) -> str:
    """The data set that a target is about.

    Raises:
        UserError: it is not one of the pipeline's targets.
    """
    for pattern in _TARGETS:
        if match := pattern.fullmatch(target):
            return match["dataset"]
    raise UserError(
        f"{target}: name a file below results/, such as results/fusion_demo.json, "
        "results/tables/training_ucf101.md or results/ucf101/k5/fusion.json"
    )


def left_jobs(dry_run: str, root: Path = Path()) -> list[Job]:
    """The jobs that Snakemake's dry run in the folder `root` prints."""
    jobs = []
    for block in re.split(r"^(?:local)?rule ", dry_run, flags=re.MULTILINE)[1:]:
        rule = block.split(":", 1)[0]
        keys = dict(re.findall(r"^    (log|benchmark|threads): (.*)$", block, re.M))
        log = keys.get("log")
        jobs.append(
            Job(
                rule,
                root / log if log else None,
                root / keys["benchmark"] if "benchmark" in keys else None,
                int(keys.get("threads", 1)),
            )
        )
    return jobs


def read_progress(job: Job, run_is_on: bool) -> Seen:
    """What the log of a job that is left shows.

    A job opens its log when it starts and its benchmark is written when it ends well.
    """
    if job.log is None or not job.log.exists():
        return Seen("waiting")
    written = job.log.stat().st_mtime
    if job.benchmark and job.benchmark.exists() and job.benchmark.stat().st_mtime >= written:
        return Seen("waiting")  # both are of an earlier run, which something has outdated
    lines = job.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    line = lines[-1] if lines else ""
    if line.startswith("error: "):
        return Seen("failed", line.removeprefix("error: "), time.time() - written)
    age = time.time() - written
    left: float | None = None
    whole: float | None = None
    if (rate := _ETA.search(line)) and rate[1] != rate[2]:
        done, total, hours, minutes, seconds = map(int, rate.groups())
        left = hours * 3600 + minutes * 60 + seconds
        whole = left * total / (total - done)
        left = max(left - age, 0)
    return Seen("running" if run_is_on else "stopped", line, age, left, whole)


def seconds_by_rule(benchmarks: Path) -> dict[str, list[float]]:
    """Rule -> how long each of its finished jobs took."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for file in sorted(benchmarks.glob("*/*.tsv")):
        seconds[file.parent.name] += benchmark_seconds(file)
    return dict(seconds)


def usual_seconds(
    finished: dict[str, list[float]], seen: list[tuple[Job, Seen]]
) -> dict[str, float]:
    """How long a job of each rule takes: the median of those that are finished, or else running."""
    running: dict[str, list[float]] = defaultdict(list)
    for job, what in seen:
        if what.whole is not None:
            running[job.rule].append(what.whole)
    return {rule: median(times) for rule, times in (running | finished).items()}


def describe_disk(results: Path, jobs: list[Job]) -> list[str]:
    """What the shards of a data set take, and will take by the mean of those that are there."""
    here, whole, unknown = 0.0, 0.0, []
    for rule, stream in _STREAMS.items():
        sizes = {
            file.stem: file.stat().st_size for file in (results / "shards" / stream).glob("*.h5")
        }
        shards = sizes.keys() | {job.log.stem for job in jobs if job.rule == rule and job.log}
        here += sum(sizes.values())
        if sizes:
            whole += len(shards) * sum(sizes.values()) / len(sizes)
        elif shards:
            unknown.append(stream)
    if not here:
        return []
    free = shutil.disk_usage(results).free
    rest = f", and those of {' and '.join(unknown)}" if unknown else ""
    text = (
        f"shards: {here / 1e9:.2f} GB on disk, about {whole / 1e9:.2f} GB when all are there{rest}"
    )
    return ["", f"{text}; {free / 1e9:.0f} GB are free"]


def time_left(jobs: list[tuple[Job, Seen]], usual: dict[str, float], cores: int) -> float:
    """Seconds until the jobs are done, if each takes as long as is usual for its rule.

    The cores share the work; and the stages, one after the other, take at least one job each. A
    running job that does not say how long is taken to be half done. Rules that have no usual time
    are left out.
    """
    known = [(job, seen) for job, seen in jobs if job.rule in usual]
    work = 0.0
    for job, seen in known:
        left = usual[job.rule]
        if seen.state == "running":
            left = left / 2 if seen.left is None else seen.left
        work += left * min(job.threads, cores)
    stages = sum(usual[rule] for rule in {job.rule for job, _ in known})
    return max(work / cores, stages if len(known) > 1 else work / cores)


def describe(dataset: str, jobs: list[Job], cores: int, root: Path = Path()) -> str:
    """The report, for people."""
    results = root / "results" / dataset
    run_is_on = any((root / ".snakemake" / "locks").glob("*"))
    seen = [(job, read_progress(job, run_is_on)) for job in jobs]
    seconds = seconds_by_rule(results / "benchmarks")
    remade = Counter(job.rule for job in jobs if job.benchmark and job.benchmark.exists())
    done = {rule: len(times) - remade[rule] for rule, times in seconds.items()}
    usual = usual_seconds(seconds, seen)
    lines = [_headline(dataset, seen, done, usual, cores, run_is_on), ""]
    lines += _table(seen, done, usual)
    lines += describe_disk(results, jobs)
    for state in ("running", "stopped", "failed"):
        for job, what in seen:
            if what.state == state:
                lines += ["", f"{state}: {job.log} ({duration(what.age)} ago)", f"    {what.line}"]
    quarantine = results / "quarantine.tsv"
    if quarantine.exists():
        lines += ["", f"videos that cannot be used: {len(read_tsv(quarantine)[1])} ({quarantine})"]
    return "\n".join(lines) + "\n"


def _headline(
    dataset: str,
    seen: list[tuple[Job, Seen]],
    done: dict[str, int],
    usual: dict[str, float],
    cores: int,
    run_is_on: bool,
) -> str:
    finished = sum(done.values())
    text = f"{dataset}: {finished} of {finished + len(seen)} jobs done"
    if not seen:
        return f"{text}, nothing is left"
    unknown = sorted({job.rule for job, _ in seen} - usual.keys() - {"publish_fusion"})
    known = any(job.rule in usual for job, _ in seen)
    if known:
        text += f", about {duration(time_left(seen, usual, cores))} left with --cores {cores}"
    if unknown:
        text += f"{' and' if known else ','} an unknown time for {', '.join(unknown)}"
    return text + ("" if run_is_on else "; no run is on")


def _table(
    seen: list[tuple[Job, Seen]], done: dict[str, int], usual: dict[str, float]
) -> list[str]:
    left = Counter(job.rule for job, _ in seen)
    states = Counter((job.rule, what.state) for job, what in seen)
    lines = [f"{'rule':<22}{'done':>7}{'running':>9}{'left':>7}{'failed':>8}{'usual time':>12}"]
    for rule in dict.fromkeys([*done, *left]):
        took = duration(usual[rule]) if rule in usual else "-"
        running, failed = states[rule, "running"], states[rule, "failed"]
        lines.append(
            f"{rule:<22}{done.get(rule, 0):>7}{running:>9}{left[rule]:>7}{failed:>8}{took:>12}"
        )
    return lines


def dry_run(target: str, cores: int, options: list[str]) -> str:
    """What Snakemake would run for a target.

    Raises:
        UserError: if it cannot say, with its words.
    """
    # The options last: --configfile takes whatever follows it for more files.
    command = [sys.executable, "-m", "snakemake", target, "--dry-run", "--nocolor"]
    command += ["--cores", str(cores), *options]
    # Snakemake does not start without a cache of its own.
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    cache = writable_cache([Path(home)], "XDG_CACHE_HOME", "Snakemake gets a temporary folder")
    # And it prints names that the locale's character set may lack.
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONUTF8": "1"}
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", env=environment
    )
    if done.returncode:
        raise UserError(f"Snakemake cannot plan {target}: {reason(done.stderr + done.stdout)}")
    return done.stdout + done.stderr


def reason(said: str) -> str:
    """Why Snakemake stopped, in a line, or the end of what it said."""
    reasons = [match[1] or match[2] for match in _REASON.finditer(said)]
    return " ".join(reasons[-1].split()) if reasons else f"\n{said[-1500:]}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; arguments that it does not know go to Snakemake.

    Returns:
        The exit status: 0; 1 if there is no such target, folder or Snakefile, or Snakemake cannot
        plan it. Arguments that cannot be parsed exit with 2.
    """
    parser = Parser(
        prog="python -m tsn.status",
        usage="%(prog)s [TARGET] [options] [options of Snakemake, as --configfile my.yaml]",
        description="Show which jobs are done, running, failed and left, and about how long.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("target", nargs="?", default="results/fusion_demo.json", help="(default: %(default)s)")
    add("--cores", type=_cores, default=1, metavar="N", help="to estimate the time that is left")
    add("-s", "--snakefile", metavar="FILE", help="of the run (default: Snakefile)")
    add("-d", "--directory", default=".", metavar="DIR", help="of the run (default: this one)")
    known, options = parser.parse_known_args(argv)
    return run_command(lambda: _run(known, options))


def _run(arguments: argparse.Namespace, options: list[str]) -> None:
    root, snakefile = Path(arguments.directory), arguments.snakefile
    dataset = dataset_of(arguments.target)
    if not root.is_dir():
        # Snakemake would make it.
        raise UserError(f"--directory {root}: there is no such folder; name that of the run")
    if snakefile is not None and not Path(snakefile).is_file():
        raise UserError(f"--snakefile {snakefile}: there is no such file; name that of the run")
    where = ["--directory", str(root)] if arguments.directory != "." else []
    where += ["--snakefile", snakefile] if snakefile is not None else []
    jobs = left_jobs(dry_run(arguments.target, arguments.cores, [*where, *options]), root)
    print(describe(dataset, jobs, arguments.cores, root), end="")


def _cores(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
