"""Thousands of damaged videos through the decoder: outcomes, time and memory of each.

Run it with: python -m benchmarks.fuzz_videos [--clips 2000] [--seed 1] [--flow]

Every clip becomes a shard of its own by the functions that the pipeline's rules call. The clips
come from `tests.video.mutations`: the same seed gives the same ones. Exits with 1 if one was lost.
"""

import argparse
import logging
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.video.mutations import make_corpus, mutate
from tsn.config.schema import FlowConfig, FramesConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard

SIZE = (64, 48)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=2000, help="how many (default: 2000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: 0)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: 1)")
    parser.add_argument("--flow", action="store_true", help="compute their flow, too")
    options = parser.parse_args()
    logging.disable()
    outcomes: dict[str, Counter] = {}
    seconds: list[tuple[float, str]] = []
    lost: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = make_corpus(Path(folder))
        for number in range(options.first, options.first + options.clips):
            name, data = mutate(corpus, options.seed, number)
            damage = name.split()[1].split(".")[0]
            start = time.perf_counter()
            try:
                status = outcome(Path(folder), name, data, options.flow)
            except Exception as error:
                status = f"LOST: {error!r}"
                lost.append(f"{name}: {error!r}")
            seconds.append((time.perf_counter() - start, f"{name}: {status}"))
            outcomes.setdefault(damage, Counter())[status] += 1
    report(outcomes, seconds, lost)
    return bool(lost)


def outcome(folder: Path, name: str, data: bytes, flow: bool) -> str:
    """What becomes of a clip: "ok" or why it is quarantined."""
    video = folder / name
    video.write_bytes(data)
    sources = [Video(name, str(video), "class")]
    status = written(folder / "rgb.h5", name, lambda path: rgb_shard(path, sources))
    if flow:
        again = written(folder / "flow.h5", name, lambda path: flow_shard(path, sources))
        assert again == status, f"rgb {status}, flow {again}"
    video.unlink()
    return status


def rgb_shard(path: Path, sources: list[Video]) -> None:
    build_rgb_shard(path, sources, FramesConfig(SIZE, 95))


def flow_shard(path: Path, sources: list[Video]) -> None:
    build_flow_shard(path, sources, SIZE, FlowConfig("native", 20.0, TVL1Params()), 1)


def written(path: Path, name: str, build) -> str:
    build(path)
    with Shard(path) as shard:
        video = shard.videos[name]
        if video.ok:
            shard.read(video, range(video.length))
        else:
            assert video.message and name in video.message
    return video.status


def report(outcomes: dict[str, Counter], seconds: list, lost: list[str]) -> None:
    total = sum(outcomes.values(), Counter())
    kinds = [kind for kind, _ in total.most_common()]
    print(f"{'damage':15}", *(f"{kind[:13]:>13}" for kind in kinds))
    for damage, counts in [*sorted(outcomes.items()), ("all", total)]:
        print(f"{damage:15}", *(f"{counts[kind]:13}" for kind in kinds))
    seconds.sort(reverse=True)
    print(f"\nmedian {seconds[len(seconds) // 2][0]:.2f} s a video; the slowest:")
    for duration, what in seconds[:5]:
        print(f"  {duration:6.2f} s  {what}")
    children, own = (
        resource.getrusage(who).ru_maxrss / 1024
        for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)
    )
    print(f"largest decoder {children:.0f} MB, this process {own:.0f} MB")
    print(f"lost: {len(lost)}", *lost, sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
