"""How much faster decode and flow are with more cores: Snakemake on real clips, same bytes.

    python benchmarks/cores.py VIDEOS [--cores 2] [--rounds 3] [--classes 2] [--size 170x128]

Runs with one core and with several alternate; the result is the ratio of the medians. Every run
starts without results. Shards record the version of the checkout: leave it alone meanwhile. Where
the machine has other work, look at CPU seconds, too: they say whether cores are lost to waiting
(fewer a second than cores) or to overhead (more in all).
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

REPOSITORY = Path(__file__).parents[1]
STREAMS = ("rgb", "flow")


def run(dataset: dict, cores: int) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds of all jobs, and a checksum over all shards."""
    targets = [f"results/clips/shards/{stream}.quarantine.tsv" for stream in STREAMS]
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += [*targets, "--cores", str(cores), "--quiet", "all", "--configfile", "config.yaml"]
    with tempfile.TemporaryDirectory() as folder:
        config = {"datasets": {"clips": dataset}}
        Path(folder, "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        before, start = os.times(), time.monotonic()
        subprocess.run(command, cwd=folder, check=True)
        wall, after = time.monotonic() - start, os.times()
        checksum = hashlib.sha256()
        for shard in sorted(Path(folder).glob("results/clips/shards/*/*.h5")):
            checksum.update(shard.read_bytes())
    user, system = (
        getattr(after, f"children_{k}") - getattr(before, f"children_{k}")
        for k in ("user", "system")
    )
    return wall, user + system, checksum.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("videos", type=Path, help="one folder of videos per class")
    parser.add_argument("--classes", type=int, help="only the first so many classes")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--shards", type=int, default=32)
    parser.add_argument("--size", default="340x256", help="of the frames (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    videos = arguments.videos.resolve()
    classes = sorted(folder.name for folder in videos.iterdir() if folder.is_dir())
    chosen = classes[: arguments.classes] if arguments.classes else None
    size = [int(side) for side in arguments.size.split("x")]
    dataset = {"layout": "folder", "videos": str(videos), "classes": chosen}
    dataset |= {"shards": arguments.shards, "override": {"frames": {"size": size}}}
    dataset["override"]["test"] = {"crop_size": min(size)}
    walls, checksums = {1: [], arguments.cores: []}, set()
    for _ in range(arguments.rounds):
        for cores, times in walls.items():
            wall, cpu, checksum = run(dataset, cores)
            times.append(wall)
            checksums.add(checksum)
            print(f"--cores {cores}: {wall:.1f} s, {cpu:.1f} s of CPU", flush=True)
    one, several = (median(times) for times in walls.values())
    print(f"--cores {arguments.cores} is {one / several:.2f} times as fast as --cores 1")
    print("the shards are the same, byte by byte" if len(checksums) == 1 else "THE SHARDS DIFFER")


if __name__ == "__main__":
    main()
