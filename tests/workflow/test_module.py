"""The pipeline as a module of another workflow."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.workflow.short_demo import short_demo

SNAKEFILE = """
configfile: "mine.yaml"

module recognition:
    snakefile: "{project}/workflow/Snakefile"
    config: config["recognition"]

use rule * from recognition as recognition_*

rule report:
    default_target: True
    input: "results/fusion_demo.json"
    output: "report.txt"
    shell: "wc {{input}} > {{output}}"
"""


@pytest.fixture
def second_workflow(tmp_path):
    project = Path(__file__).parents[2]
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(project=project))
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"recognition": short_demo()}))

    def snakemake(*arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return snakemake


def test_another_workflow_plans_the_pipeline_with_its_own_configuration(second_workflow):
    planned = second_workflow("--dry-run")
    jobs = dict(re.findall(r"^recognition_(\w+) +(\d+)$", planned, re.MULTILINE))
    # Two shards and three modalities, as its configuration says; the rest are the defaults.
    assert jobs["decode_frames"] == jobs["compute_flow"] == "2"
    assert jobs["train_model"] == jobs["score_videos"] == "3"


@pytest.mark.slow
def test_another_workflow_runs_jobs_of_the_pipeline(second_workflow, tmp_path):
    second_workflow("results/demo/shards/rgb/0000.h5")
    assert (tmp_path / "results/demo/shards/rgb/0000.h5").exists()
