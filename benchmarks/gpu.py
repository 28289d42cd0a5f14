"""All that concerns a GPU, in one table: tests, sanitizer, flow, shards, training, test.

Run it with: make gpu, or python -m benchmarks.gpu [--videos FOLDER]

Takes less than ten minutes, and needs nothing but a GPU; without one it says what it would do, and
runs the kernels of a pair on the CPU, to count what the work queue does. The clips are the demo
set's unless a folder of real ones is given, whose motion is harder. The table goes to the screen
and to results/gpu.md and results/gpu.json.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.demo import plan, render_all
from tsn.runtime.cuda import why_unavailable
from tsn.video.decode import read_frames

if TYPE_CHECKING:
    from tsn.flow.cuda.workspace import Launcher
    from tsn.flow.estimator import FlowEstimator

SIZE = (340, 256)
BATCHES = (1, 5, 32, 128, 256)
SECONDS = 150
"""Most that a part may take: what takes longer is ended and told."""

Row = tuple[str, str]

TINY = """
import numpy as np
from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cuda.cuda_engine import CudaEngine
noise = np.random.default_rng(0).integers(0, 256, (60, 80)).astype(np.uint8)
frames = np.stack([np.roll(noise, t, 1) for t in range(4)])
for params in (
    TVL1Params(warps=2),
    TVL1Params(warps=1, median_filter=5, gamma=0.1),
    TVL1Params(warps=1, variant="opencv_cuda"),
):
    CudaEngine(params).sequence(frames)
"""
"""Launches every kernel, for the sanitizer, which is slow."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="folder of clips (default: the demo set's)")
    parser.add_argument("--out", type=Path, default=Path("results"), help="default: results")
    options = parser.parse_args()
    reason = why_unavailable()
    if reason:
        print(f"No GPU can be used: {reason}. With one, these would be run:")
        for name, part in PARTS.items():
            print(f"  {name}: {part.__doc__}")
    with tempfile.TemporaryDirectory() as folder:
        videos = clips_of(options.videos) if options.videos else demo(Path(folder))
        if reason:
            if shutil.which("c++"):
                print(f"Work queue, by the CPU: {work_on_cpu(videos)}")
            return
        table: list[Row] = []
        for name, part in PARTS.items():
            begin = time.perf_counter()
            try:
                rows = list(part(videos))
            except Exception as error:  # the other parts still tell something
                rows = [("failed", f"{type(error).__name__}: {error}")]
            table += [(f"{name}: {what}", value) for what, value in rows]
            print(f"{name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    text = "\n".join(["| what | value |", "|---|---|", *(f"| {a} | {b} |" for a, b in table)])
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "gpu.md").write_text(text + "\n", encoding="utf-8")
    (options.out / "gpu.json").write_text(json.dumps(dict(table), indent=1), encoding="utf-8")
    print(text)
    print(f"written to {options.out}/gpu.md and gpu.json", file=sys.stderr)


def demo(folder: Path) -> list[Path]:
    """Clips of the demo set, of ordinary size and length."""
    clips = render_all(plan(1, 1, 1), folder, SIZE, frames=150, threads=cores())
    return sorted(folder / f"{clip.id}.mp4" for clip in clips)


def clips_of(folder: Path) -> list[Path]:
    clips = sorted(path for path in folder.rglob("*") if path.suffix in (".avi", ".mp4"))
    return clips or sys.exit(f"{folder}: there is no .avi or .mp4 file")


def machine(videos: list[Path]) -> Iterator[Row]:
    """name, driver, torch, cores"""
    import torch

    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    driver = run(*query)[1].strip() if shutil.which("nvidia-smi") else "?"
    yield "GPU", torch.cuda.get_device_name()
    yield "software", f"driver {driver}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    yield "CPU cores", str(cores())


def tests(videos: list[Path]) -> Iterator[Row]:
    """the tests that need a GPU"""
    status, output = run(sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/flow/cuda")
    yield f"exit status {status}", output.strip().splitlines()[-1]


def sanitizer(videos: list[Path]) -> Iterator[Row]:
    """compute-sanitizer's memcheck, racecheck and synccheck of all kernels, if it is installed"""
    program = shutil.which("compute-sanitizer")
    if program is None:
        yield "not run", "compute-sanitizer is not installed"
        return
    for tool in ("memcheck", "racecheck", "synccheck"):
        # Errors of API calls are those of cuda-bindings looking for functions of newer drivers.
        quiet = ("--report-api-errors", "no") if tool == "memcheck" else ()
        _, output = run(program, "--tool", tool, *quiet, sys.executable, "-c", TINY)
        yield tool, output.strip().splitlines()[-1].strip("= ")


def flow(videos: list[Path]) -> Iterator[Row]:
    """pairs/s from frames to bytes, by batch, variant and engine; agreement"""
    from tsn.flow import opencv_cuda
    from tsn.flow.tvl1 import TVL1

    each = -(-(max(BATCHES) + 1) // len(videos))
    frames = [frame for path in videos for frame in islice(read_frames(path, SIZE, "grey"), each)]
    clip = np.stack(frames)[: max(BATCHES) + 1]
    gpu = TVL1(backend="native_cuda")
    for batch in BATCHES:
        part = clip[: batch + 1]
        seconds = timed(lambda part=part: gpu.quantised(part))
        yield (
            f"native_cuda, {len(part) - 1} pairs a call",
            f"{(len(part) - 1) / seconds:.0f} pairs/s",
        )
    import torch

    from tsn.flow.cuda.compile import Launcher

    yield "work queue", work_of(Launcher(torch.device("cuda"), 2, "opencv"), clip[:33])
    variant = TVL1(TVL1Params(variant="opencv_cuda"), "native_cuda")
    seconds = timed(lambda: variant.quantised(clip[:129]))
    yield "native_cuda, variant opencv_cuda, 128 pairs a call", f"{128 / seconds:.0f} pairs/s"
    few = [np.stack(list(islice(read_frames(path, SIZE, "grey"), 5))) for path in videos[:16]]
    if reason := opencv_cuda.why_unavailable():
        yield "opencv_cuda", reason
    else:
        opencv = TVL1(backend="opencv_cuda", threads=16)
        yield "opencv_cuda", f"{128 / timed(lambda: opencv.quantised(clip[:129])):.0f} pairs/s"
        yield "variant opencv_cuda against opencv_cuda", agreement(variant, opencv, few)
    for threads in sorted({1, cores()}):
        cpu = TVL1(backend="native_cpu", threads=threads)
        pairs = 4 * threads
        seconds = timed(lambda cpu=cpu, n=pairs: cpu.quantised(clip[: n + 1]), repeats=1)
        yield f"native_cpu, {threads} threads", f"{min(pairs, len(clip) - 1) / seconds:.0f} pairs/s"
    for params in (
        TVL1Params(),
        TVL1Params(epsilon=0.0, iterations=30),
        TVL1Params(variant="opencv_cuda"),
    ):
        engines = TVL1(params, "native_cuda"), TVL1(params, "native_cpu", cores())
        what = f"epsilon {params.epsilon}, {params.iterations} iterations, {params.variant}"
        yield f"GPU against CPU, {what}", agreement(*engines, few)


def work_of(kernels: "Launcher", clip: np.ndarray) -> str:
    """What the work queue does for the pairs of a clip (T, H, W)."""
    import torch

    from tsn.flow.cuda.workspace import Workspace

    frames = torch.from_numpy(clip).to(kernels.device)
    workspace = Workspace(kernels, *clip.shape[1:], TVL1Params(), len(clip))
    workspace.load(frames)
    workspace.solve(frames.new_empty((len(clip) - 1, 2, *clip.shape[1:]), dtype=torch.float32), 1)
    work = workspace.work()
    return (
        f"{work['useful']:.0%} of the pixels' iterations are of use, {work['bytes']:.1f} bytes for "
        f"each of these, {work['iterations']:.0f} of full-size frames a pair"
    )


def work_on_cpu(videos: list[Path]) -> str:
    """The same of a pair, by the kernels compiled for the CPU; takes half a minute."""
    from tests.flow.cuda.emulator import EmulatedLauncher, compile_for_cpu

    clip = np.stack(list(islice(read_frames(videos[0], SIZE, "grey"), 2)))
    with tempfile.TemporaryDirectory() as folder:
        return work_of(EmulatedLauncher(compile_for_cpu("c++", 2, "opencv", Path(folder))), clip)


def agreement(one: "FlowEstimator", other: "FlowEstimator", clips: list[np.ndarray]) -> str:
    """How far the flow of two engines is apart."""
    from tsn.flow.quantise import quantise

    ours, theirs = (np.stack([engine(clip) for clip in clips]) for engine in (one, other))
    apart = np.hypot(*np.moveaxis(ours - theirs, 2, 0)).mean((1, 2, 3))
    near = (abs(quantise(ours).astype(int) - quantise(theirs)) <= 1).mean()
    return (
        f"mean of clips {apart.mean():.1e} px, median {np.median(apart):.1e}, worst "
        f"{apart.max():.1e}, bytes within 1 {near:.3%}"
    )


def stage(videos: list[Path]) -> Iterator[Row]:
    """pairs/s from videos to a shard, by threads"""
    paths = [str(path) for path in (videos * (-(-48 // len(videos))))[:48]]
    for threads in sorted({8, cores()}):
        options = ("--backend", "native_cuda", "--threads", str(threads))
        _, output = run(sys.executable, "benchmarks/flow_stage.py", *paths, *options)
        rate = re.search(r"([\d.]+) pairs/s", output)
        yield f"{threads} threads", f"{float(rate[1]):.0f} pairs/s" if rate else output.strip()


def shards(videos: list[Path]) -> Iterator[Row]:
    """pairs/s of compressing and writing, by threads"""
    from tsn.datasets.records import Video
    from tsn.flow.tvl1 import TVL1
    from tsn.shards.build import Part, build_shard, flow_part

    fields = [
        TVL1(backend="native_cuda").quantised(
            np.stack(list(islice(read_frames(path, SIZE, "grey"), 65)))
        )[0]
        for path in videos[:8]
    ]
    records = [Video(str(n), "", "") for n in range(64)]

    def parts_of(video: Video) -> Iterator[Part]:
        yield flow_part(fields[int(video.id) % len(fields)], 0.0)

    pairs = sum(len(fields[n % len(fields)]) for n in range(len(records)))
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2, 4, 8):
            path, begin = Path(folder) / "flow.h5", time.perf_counter()
            build_shard(path, "flow", SIZE, records, {}, parts_of, at_once=threads)
            rate = pairs / (time.perf_counter() - begin)
            yield (
                f"{threads} threads",
                f"{rate:.0f} pairs/s, {path.stat().st_size / pairs / 1e3:.1f} KB each",
            )


def training(videos: list[Path]) -> Iterator[Row]:
    """images/s of training, the fraction of waiting for data, test videos/s"""
    program = (sys.executable, "benchmarks/training_gpu.py", "--backbones", "efficientnet_lite0")
    options = ("--workers", str(cores()), "--steps", "15", "--videos", "128")
    _, output = run(*program, *options)
    rows = [line.split(" | ") for line in output.splitlines() if line.count(" | ") == 5]
    if len(rows) < 2:
        yield "failed", output.strip()[-300:]
        return
    heads, *measured = rows
    for backbone, modality, *values in measured:
        for head, value in zip(heads[2:], values, strict=True):
            yield f"{backbone}, {modality}, {head}", value


PARTS: dict[str, Callable[[list[Path]], Iterator[Row]]] = {
    part.__name__: part for part in (machine, tests, sanitizer, flow, stage, shards, training)
}


def run(*command: str) -> tuple[int, str]:
    """Exit status and output of a program, ended when it takes too long."""
    root = Path(__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        told = error.stdout or ""
        text = told.decode(errors="replace") if isinstance(told, bytes) else told
        return -1, f"{text}\nended after {SECONDS} s"
    return done.returncode, done.stdout


def timed(work: Callable[[], object], repeats: int = 5) -> float:
    """Median seconds; the first call is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return median(seconds[1:])


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    main()
