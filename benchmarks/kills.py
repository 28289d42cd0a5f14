"""Snakemake and its jobs killed at random moments, the same command after each: equal results?

Run it with: python -m benchmarks.kills FOLDER [--kills 50] [--seed 1]

A tiny data set with broken videos among good ones goes through all stages, stopped again and again
until it is through; then the results are compared with those of an undisturbed run, and a new round
begins. Exits with 1 at the first difference.
"""

import argparse
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from tests.workflow.kills import TARGET, WAYS, go_on, kill_once, left_behind, outcome
from tests.workflow.pipeline import Pipeline, make_videos


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "folder", type=Path, help="a folder to work in; an undisturbed run in it is used again"
    )
    parser.add_argument("--kills", type=int, default=50, help="at least so many (default: 50)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments and ways")
    parser.add_argument("--delay", type=float, default=4.0, help="most seconds after a job's start")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    random.seed(options.seed)
    expected = undisturbed(options.folder)
    print(f"{time.strftime('%H:%M:%S')} undisturbed run done", flush=True)
    kills, rounds = [], 0
    while len(kills) < options.kills:
        rounds += 1
        pipeline = prepare(options.folder / f"round{rounds}")
        while len(kills) < options.kills:
            way, jobs = chance.choice(WAYS), chance.randint(1, 4)
            kill = kill_once(pipeline, way, jobs, chance.uniform(0, options.delay))
            if kill is None:
                break
            kills.append(kill)
            print(f"{len(kills):3} {time.strftime('%H:%M:%S')} {kill}", flush=True)
            go_on(pipeline, kill)
        pipeline.run(TARGET)
        if outcome(pipeline.folder) != expected or left_behind(pipeline.folder):
            print(f"round {rounds} ended otherwise: look at {pipeline.folder}")
            return 1
        print(f"round {rounds}: equal results", flush=True)
    report(kills, rounds, expected)
    return 0


def prepare(folder: Path) -> Pipeline:
    shutil.copytree(folder.parent / "videos", folder / "videos")
    return Pipeline(folder)


def undisturbed(folder: Path) -> dict:
    if not (folder / "undisturbed" / TARGET).exists():
        make_videos(folder / "videos")
        prepare(folder / "undisturbed").run(TARGET)
    return outcome(folder / "undisturbed")


def report(kills: list, rounds: int, expected: dict) -> None:
    print(f"\n{len(kills)} kills in {rounds} rounds, all ended with equal results:")
    print(f"{len(expected['shards'])} shards and {len(expected['scores'])} score files each")
    for title, counts in (
        ("way", Counter(f"{kill.signal} to {kill.victim}" for kill in kills)),
        ("at work", Counter(rule for kill in kills for rule in kill.at_work or ("nothing",))),
        ("lock left", Counter(str(kill.locked) for kill in kills)),
    ):
        print(f"{title}: " + ", ".join(f"{name} {n}" for name, n in counts.most_common()))


if __name__ == "__main__":
    sys.exit(main())
