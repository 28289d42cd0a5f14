"""The environment of `--software-deployment-method conda` is that of pyproject.toml."""

import importlib.util
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "conda_environment.py"


def test_the_file_is_what_the_tool_writes():
    spec = importlib.util.spec_from_file_location("conda_environment", TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.FILE.read_text(encoding="utf-8") == tool.environment()
    assert "matplotlib" in tool.environment()
