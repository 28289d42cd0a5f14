"""The recipes of docs/data.md: each is run on its own imitated files."""

import re
from pathlib import Path

import pytest
import yaml

from tsn.config.checks import checked_dataset
from tsn.datasets.build_index import plan_listing

TEXT = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
RECIPES = {
    title: body
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    if 'title="index"' in body
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_gives_the_videos_that_it_shows(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```\w+ title=\"(.+?)\"\n(.*?)^```", RECIPES[recipe], re.M | re.S)
    files = dict(blocks)
    shown = files.pop("index").splitlines()
    for name in files.pop("videos").splitlines():
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    config = yaml.safe_load(re.search(r"^```yaml\n(.*?)^```", RECIPES[recipe], re.M | re.S)[1])
    dataset = checked_dataset("mine", config["datasets"]["mine"])
    listing = plan_listing(dataset, tmp_path, "quarantine", "refuse")
    found = []
    for video in listing.videos:
        parts = " ".join(video.splits.get(n, "-") for n in dataset.splits)
        missing = " missing" if video.missing else ""
        found.append(f"{video.id}  {video.class_text}  {parts}{missing}")
    assert found == shown


def test_all_recipes_are_found():
    assert len(RECIPES) == 19
