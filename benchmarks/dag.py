"""What planning costs: a dry run over data sets of the size of UCF101 and of Kinetics.

    python benchmarks/dag.py              # makes 263,320 files of one byte in a temporary folder
    python benchmarks/dag.py --only ucf101

For each it prints the jobs per rule, wall and CPU seconds and peak memory of
`snakemake --dry-run`, for a set of which nothing has been run.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[1]
UCF101_SPLITS = {1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)}
"""Train and test videos of the official lists."""
KINETICS_VIDEOS, KINETICS_CLASSES, KINETICS_SHARDS = 250_000, 400, 1024
"""As many training videos as Kinetics-400 has, and shards of about 250 clips of 10 s."""


def write_videos(root: Path, paths: list[str]) -> None:
    for folder in sorted({path.split("/")[0] for path in paths}):
        (root / folder).mkdir(parents=True)
    for path in paths:
        (root / path).write_bytes(b"x")


def make_ucf101(folder: Path) -> dict:
    """13,320 files and official lists of the official lengths."""
    total = sum(UCF101_SPLITS[1])
    paths = [f"Class{n % 101:03d}/v_Class{n % 101:03d}_g{n // 101:03d}.avi" for n in range(total)]
    write_videos(folder / "videos", paths)
    lists = folder / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("".join(f"{n + 1} Class{n:03d}\n" for n in range(101)))
    for split, (train, test) in UCF101_SPLITS.items():
        parts = {"train": [f"{path} 1" for path in paths[:train]], "test": paths[train:]}
        assert len(parts["test"]) == test
        for part, lines in parts.items():
            (lists / f"{part}list0{split}.txt").write_text("\n".join(lines) + "\n")
    where = {"videos": str(folder / "videos"), "lists": str(lists)}
    return {"layout": "ucf101", "splits": [1, 2, 3], "shards": 128, **where}


def make_kinetics(folder: Path) -> dict:
    """250,000 files in 400 folders."""
    classes = KINETICS_CLASSES
    names = [f"class_{n % classes:03d}/{n:011d}_000010_000020.mp4" for n in range(KINETICS_VIDEOS)]
    write_videos(folder / "videos", names)
    return {"layout": "folder", "videos": str(folder / "videos"), "shards": KINETICS_SHARDS}


def dry_run(folder: Path, dataset: dict) -> tuple[str, float, float, float]:
    """What Snakemake prints, wall seconds, CPU seconds, peak memory in MB."""
    (folder / "config.yaml").write_text(yaml.safe_dump({"datasets": {"large": dataset}}))
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["results/fusion_large.json", "--dry-run", "--quiet", "rules", "--cores", "16"]
    with (folder / "output.txt").open("w+") as output:
        start = time.monotonic()
        process = subprocess.Popen(
            [*command, "--configfile", "config.yaml"], cwd=folder, stdout=output, stderr=output
        )
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - start
        output.seek(0)
        text = output.read()
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, text
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return text, wall, used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", choices=("ucf101", "kinetics"))
    chosen = parser.parse_args().only
    sets = {"ucf101": make_ucf101, "kinetics": make_kinetics}
    for name in [chosen] if chosen else sets:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            text, wall, cpu, memory = dry_run(folder, sets[name](folder))
        table = re.search(r"^job +count\n[- ]+\n(.*?^total +\d+)", text, re.M | re.S)
        print(f"{name}-sized: {wall:.1f} s, {cpu:.1f} s of CPU, at most {memory:.0f} MB\n")
        print(table[1] + "\n")


if __name__ == "__main__":
    main()
