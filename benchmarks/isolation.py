"""What decoding in a process of its own costs: processor time per frame, alone and beside TV-L1.

Run it with: python -m benchmarks.isolation VIDEO [VIDEO ...] [--repeats 5]

Both ways run alternately over the same videos. Times are processor times of this process and the
decoder's together, medians over the repeats; flow is that of the native engine on one thread.
"""

import argparse
import os
import time
from pathlib import Path
from statistics import median

import numpy as np

from tsn.flow.tvl1 import TVL1
from tsn.video import decode, isolation

SIZE = (340, 256)
PAIRS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path, help="clips to decode")
    parser.add_argument("--repeats", type=int, default=5, help="of everything (default: 5)")
    options = parser.parse_args()
    frames = [
        frame for path in options.videos for frame in isolation.read_frames(path, SIZE, "grey")
    ]
    flow = flow_seconds(np.stack(frames[: PAIRS + 1]), options.repeats)
    print(f"{len(options.videos)} videos, {len(frames)} frames of {SIZE[0]}x{SIZE[1]}")
    print(f"flow: {1e3 * flow:.1f} ms a pair")
    for colour in ("grey", "rgb"):
        seconds = {module: [] for module in (decode, isolation)}
        for _ in range(options.repeats):
            for module, found in seconds.items():
                begin = processor_seconds()
                for path in options.videos:
                    for _ in module.read_frames(path, SIZE, colour):
                        pass
                found.append((processor_seconds() - begin) / len(frames))
        here, apart = (median(found) for found in seconds.values())
        print(
            f"{colour}: {1e3 * here:.2f} ms a frame here, {1e3 * apart:.2f} in its own process; "
            f"with flow {(apart + flow) / (here + flow):.3f} times the time"
        )


def processor_seconds() -> float:
    """Of this process and of the idle decoder, which stays alive between good videos."""
    total = time.process_time()
    for decoder in isolation._idle:
        fields = (
            Path(f"/proc/{decoder._process.pid}/stat")
            .read_text(encoding="utf-8")
            .rsplit(")", 1)[1]
            .split()
        )
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def flow_seconds(frames: np.ndarray, repeats: int) -> float:
    tvl1 = TVL1(backend="native")
    tvl1(frames[:2])  # compiles
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        tvl1(frames)
        found.append((time.process_time() - begin) / PAIRS)
    return median(found)


if __name__ == "__main__":
    main()
