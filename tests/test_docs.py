"""The documentation names what is there."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", PROJECT / "config" / "README.md", PROJECT / "CONTRIBUTING.md"]
PAGES += PROJECT.glob("docs/*.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_modules_that_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"`((?:tsn|tests|benchmarks|workflow|tools|profiles)/[\w/.-]+)`", text)
    modules = re.findall(r"(?:from|python -m|import) (tsn(?:\.\w+)+)", text)
    missing = [name for name in files if not (PROJECT / name).exists()]
    for module in modules:
        path = PROJECT.joinpath(*module.split("."))
        missing += [] if path.is_dir() or path.with_suffix(".py").is_file() else [module]
    assert missing == []
