"""What pip installs works without the source beside it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


@pytest.mark.slow
def test_the_wheel_holds_all_that_the_package_needs(tmp_path):
    source = tmp_path / "source"  # building leaves files behind
    shutil.copytree(PROJECT / "tsn", source / "tsn", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy2(PROJECT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path, source], PROJECT)
    (wheel,) = tmp_path.glob("tsn-*.whl")
    # An environment of its own that borrows this one's packages, but not its editable tsn.
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment)}))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    run([*pip, "install", "--no-deps", "--target", packages, wheel], PROJECT)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = environment / "bin" / "python"
    printed = run([python, PROJECT / "tools" / "check_installed.py"], elsewhere)
    commands = "convert export features flow index localise predict serve status training verify"
    assert ", ".join(f"tsn.{name}" for name in commands.split()) in printed


def run(command: list, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
