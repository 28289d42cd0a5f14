"""Write workflow/envs/tsn.yaml, for `--software-deployment-method conda`, from pyproject.toml.

python tools/conda_environment.py
"""

import tomllib
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
FILE = PROJECT / "workflow" / "envs" / "tsn.yaml"
HEADER = """\
# Written by tools/conda_environment.py from pyproject.toml. Used with
# `--software-deployment-method conda` only; `make` sets up a virtual environment instead.
channels:
  - conda-forge
dependencies:
"""


def environment() -> str:
    """The file's content: Python from conda, everything else from pip."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    packages = [f"      - {requirement}" for requirement in project["dependencies"]]
    lines = [f"  - python {project['requires-python']}", "  - pip", "  - pip:", *packages]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(environment(), encoding="utf-8")
