"""A tiny data set with broken videos among good ones, and Snakemake run on it."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from tsn.datasets import demo

REPOSITORY = Path(__file__).parents[2]
GOOD_PER_CLASS = 4
CLASSES = ("checked_ball_rises", "dotted_ball_falls")
BROKEN = {
    f"{CLASSES[0]}/cut": "truncated",
    f"{CLASSES[0]}/text": "unreadable",
    f"{CLASSES[1]}/one frame": "too_short",
    f"{CLASSES[1]}/nothing": "empty",
}

CONFIG = {
    "modalities": ["rgb", "flow", "warped_flow"],
    "datasets": {"tiny": {"layout": "folder", "videos": "videos", "shards": 2, "splits": [1]}},
    "frames": {"size": [64, 48]},
    "model": {"backbone": "bn_inception", "weights": "none", "input_size": 32},
    "training": {
        "segments": 2,
        "epochs": 2,
        "lr_milestones": [1],
        "batch_size": 4,
        "micro_batch": 4,
    },
    "test": {"segments": 3, "crops": 5, "crop_size": 32},
}


class Pipeline:
    """Snakemake on a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config = copy.deepcopy(CONFIG)

    def write_config(self) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(self.config))

    def snakemake(self, *arguments: str, cores: int = 2) -> subprocess.CompletedProcess:
        self.write_config()
        command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
        command += ["--cores", str(cores), *arguments, "--configfile", "config.yaml"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=environment, timeout=600
        )

    def run(self, *arguments: str, cores: int = 2) -> str:
        done = self.snakemake(*arguments, cores=cores)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def would_run(self, *arguments: str) -> dict[str, int]:
        """Jobs per rule that a run would start now, for the JSON unless told otherwise."""
        text = self.run("--dry-run", *(arguments or ("results/fusion_tiny.json",)))
        table = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.MULTILINE | re.DOTALL)
        if table is None:
            assert "Nothing to be done" in text, text
            return {}
        return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table[1], re.M)}

    def changed(self, block: str, **values) -> "Pipeline":
        """The same folder under a configuration with other values."""
        other = Pipeline(self.folder)
        other.config = copy.deepcopy(self.config)
        other.config[block] = {**other.config.get(block, {}), **values}
        return other


def make_videos(folder: Path) -> None:
    """Good clips of two classes, and one of each kind of broken file."""
    wanted = [
        c for c in demo.plan(1, GOOD_PER_CLASS, 1) if c.class_name in CLASSES and c.split == "train"
    ]
    for clip in wanted:
        demo.render(clip, folder / f"{clip.id}.mp4", (64, 48), 16)
    good = (folder / f"{wanted[0].id}.mp4").read_bytes()
    broken = [folder / f"{name}.avi" for name in BROKEN]
    broken[0] = broken[0].with_suffix(".mp4")
    broken[0].write_bytes(good[: len(good) * 2 // 3])
    broken[1].write_text("This is a shopping list.\n" * 20)
    one_frame(broken[2])
    broken[3].touch()


def one_frame(path: Path) -> None:
    import av
    import numpy as np

    with av.open(str(path), "w", "avi") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        out.mux(stream.encode())
