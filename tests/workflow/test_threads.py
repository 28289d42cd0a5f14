"""A job with N threads has N in every library, whatever the machine has."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SNAKEFILE = """
rule count:
    output: "{threads}.json"
    log: "{threads}.log"
    threads: lambda wildcards: int(wildcards.threads)
    script: "count.py"
"""
SCRIPT = """
import json
from snakemake.iocontainers import Snakemake
from tsn.runtime.job import job

snakemake: Snakemake

with job(snakemake.log[0], "count"):
    import cv2
    import numba
    import torch

    counts = {
        "OpenCV": cv2.getNumThreads(),
        "Numba": numba.get_num_threads(),
        "PyTorch": torch.get_num_threads(),
    }
    with open(snakemake.output[0], "w") as file:
        json.dump(counts, file)
"""


def test_every_library_has_as_many_threads_as_the_job(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    (tmp_path / "count.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "1.json", "2.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for threads in (1, 2):
        counts = json.loads((tmp_path / f"{threads}.json").read_text())
        assert set(counts.values()) == {threads}, counts
