"""The flow stage as the pipeline runs it: pairs per second, and what is not TV-L1.

Run it with: python benchmarks/flow_stage.py VIDEO [VIDEO ...] [--backend native_cpu] [--threads 1]

Makes a real shard of the videos in a temporary folder. Shares are of processor time, in the job and
in the decoder's process, so that other load on the machine does not change them; on a GPU, where
TV-L1 takes no processor time, only the rate tells.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

from tsn.config.schema import FlowConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.records import Video
from tsn.flow import build as stage
from tsn.flow.tvl1 import BACKENDS, TVL1
from tsn.shards.format import Shard
from tsn.video import isolation

SIZE, BOUND = (340, 256), 20.0


class Timed(TVL1):
    """TV-L1 that adds up the processor time it takes."""

    seconds = 0.0

    def quantised(self, frames, bound=BOUND):
        begin = time.process_time()
        try:
            return super().quantised(frames, bound)
        finally:
            Timed.seconds += time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to make a shard of")
    parser.add_argument("--backend", choices=BACKENDS, default="native_cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the job (default: 1)")
    options = parser.parse_args()
    flow = FlowConfig(options.backend, BOUND, TVL1Params())
    videos = [Video(str(n), str(path), "") for n, path in enumerate(options.videos)]
    stage.TVL1 = Timed
    with tempfile.TemporaryDirectory() as folder:
        warm_up = Path(folder) / "warm_up.h5"
        stage.build_flow_shard(warm_up, videos[:1], SIZE, flow, options.threads)  # compiles
        Timed.seconds = 0.0
        end_decoders()
        before, begin = processor_seconds(), time.perf_counter()
        path = Path(folder) / "flow.h5"
        stage.build_flow_shard(path, videos, SIZE, flow, options.threads)
        wall = time.perf_counter() - begin
        end_decoders()
        total = processor_seconds() - before
        with Shard(path) as shard:
            pairs = sum(video.length for video in shard.videos.values())
        size = path.stat().st_size
    rest = total - Timed.seconds
    print(f"{len(videos)} videos, {pairs} pairs of {SIZE[0]}x{SIZE[1]}, {options.backend}")
    print(f"{pairs / wall:.1f} pairs/s, {pairs / total:.1f} per second of processor time")
    print(f"{size / pairs / 1e3:.1f} KB a pair")
    print(f"outside TV-L1 (decode, resize, compress, write): {rest / total:.1%} of processor time")


def end_decoders() -> None:
    """End the decoders: a process's time is counted when it has ended."""
    while isolation._idle:
        isolation._idle.pop().end()


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in usage)


if __name__ == "__main__":
    main()
