"""Folders whose names mean something to a shell, and locales other than UTF-8."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import Checkout
from tests.workflow.short_demo import short_demo

REPOSITORY = Path(__file__).parents[2]


def run(command: list, folder: Path, **environment: str) -> str:
    """What a command prints, which must succeed, without help from this process's own settings."""
    settings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "LANG", "LC_ALL")}
    done = subprocess.run(
        command, cwd=folder, env={**settings, **environment}, capture_output=True, timeout=3000
    )
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0, output
    return output


@pytest.fixture
def chinese(tmp_path) -> dict[str, str]:
    """The environment of a locale that is not UTF-8, made as by Debian's package `locales`."""
    if not shutil.which("localedef") or not Path("/usr/share/i18n/charmaps").is_dir():
        # The project's own CI installs them and must not pass without these tests.
        assert "REQUIRE_LOCALES" not in os.environ
        pytest.skip("no localedef or no character maps: apt-get install locales")
    run(["localedef", "-i", "zh_CN", "-f", "GBK", "./zh_CN.GBK"], tmp_path)
    return {"LOCPATH": str(tmp_path), "LC_ALL": "zh_CN.GBK"}


@pytest.mark.slow
def test_make_demo_runs_in_an_awkward_folder_and_a_chinese_locale(awkward_checkout, chinese):
    folder = awkward_checkout.folder
    config = {**short_demo(), "modalities": ["flow"]}
    (folder / "short.yaml").write_text(yaml.safe_dump(config))
    options = ["CORES=2", "OPTIONS=--configfile short.yaml"]
    table = run(["make", "demo", *options], folder, **chinese)
    assert "With figures" in table
    summary = json.loads((folder / "results" / "fusion_demo.json").read_text(encoding="utf-8"))
    assert set(summary["splits"][0]["modalities"]) == {"flow"}
    assert "fusion" in run(["make", "status", *options], folder)


@pytest.mark.slow
def test_a_run_starts_in_a_locale_of_ascii(tmp_path):
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(short_demo()))
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    options = ["--cores", "1", "results/demo/shards/rgb/0000.h5", "--configfile", "short.yaml"]
    run([*snakemake, *options], tmp_path, LC_ALL="C")


@pytest.mark.slow
def test_torchrun_runs_in_an_awkward_folder(awkward_checkout: Checkout):
    program = (
        "import subprocess; from tsn.training.launch import torchrun_command; "
        "subprocess.run([*torchrun_command(1), '-m', 'tsn.training', '--help'], check=True)"
    )
    assert "usage" in run([awkward_checkout.python, "-c", program], awkward_checkout.folder)


@pytest.mark.parametrize("where", ["project", "folder"])
def test_braces_which_snakemake_takes_for_wildcards_are_refused(where, tmp_path):
    awkward = tmp_path / "a {brace}"
    awkward.mkdir()
    project = awkward if where == "project" else REPOSITORY
    if where == "project":
        for name in ("Snakefile", "workflow", "config"):
            (awkward / name).symlink_to(REPOSITORY / name)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--snakefile", project / "Snakefile", "--dry-run"],
        cwd=awkward if where == "folder" else tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    output = done.stdout + done.stderr
    assert "a {brace}" in output and "braces" in output
    assert "Traceback" not in output and "NameError" not in output


def test_what_others_open_in_the_locales_encoding_is_ascii():
    opened = [REPOSITORY / "Makefile", REPOSITORY / "requirements.lock"]
    for pattern in ("profiles/*/*.yaml", "config/*.yaml", "workflow/envs/*.yaml"):
        opened += REPOSITORY.glob(pattern)
    assert len(opened) > 5
    assert [str(path) for path in opened if not path.read_bytes().isascii()] == []
