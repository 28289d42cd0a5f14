"""As many GPU jobs run at a time as the machine has GPUs. The GPUs are a fake nvidia-smi's."""

import os
import re

import pytest

from tests.workflow.pipeline import REPOSITORY

pytestmark = pytest.mark.slow

TARGET = "results/tiny/tsn/split1/rgb/scores.h5"


@pytest.fixture
def two_gpus(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n" + "".join(f"echo 'GPU {n}: any (UUID: GPU-{n})'\n" for n in (0, 1))
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def provided(fresh, two_gpus):
    """How many GPUs a run with these options has, and how many a training takes."""
    snakefile = fresh.folder / "Snakefile"
    printed = 'print("GPUs:", workflow.global_resources.get("gpu").value, network_gpus())'
    snakefile.write_text(f"include: {str(REPOSITORY / 'Snakefile')!r}\n{printed}\n")

    def run(*options: str) -> str:
        output = fresh.run("--snakefile", str(snakefile), "--dry-run", TARGET, *options)
        return re.search(r"^GPUs: (.+)$", output, re.MULTILINE)[1]

    return run


def test_a_run_provides_the_gpus_that_there_are(provided):
    assert provided() == "2 1"


def test_a_limit_of_the_user_is_kept(provided):
    assert provided("--resources", "gpu=1") == "1 1"


def test_a_cluster_has_what_its_profile_says(provided):
    assert provided("--executor", "slurm", "--jobs", "9") == "None 0"
