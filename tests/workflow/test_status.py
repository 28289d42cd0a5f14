"""`python -m tsn.status` on a real run."""

import subprocess
import sys

import pytest

from tests.workflow.pipeline import REPOSITORY

pytestmark = pytest.mark.slow


def status(pipeline) -> str:
    pipeline.write_config()
    command = [sys.executable, "-m", "tsn.status", "results/fusion_tiny.json", "--cores", "2"]
    command += ["--snakefile", REPOSITORY / "Snakefile", "--configfile", "config.yaml"]
    done = subprocess.run(command, cwd=pipeline.folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_done_and_what_a_change_leaves_to_do(finished):
    assert "nothing is left" in status(finished)
    text = status(finished.changed("training", lr=0.002))
    jobs = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.count("  ") > 3}
    assert jobs["train_model"][:3] == ["0", "0", "3"]
    assert jobs["compute_flow"][:3] == ["2", "0", "0"]
    assert "left with --cores 2; no run is on" in text
