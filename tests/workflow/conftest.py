"""The pipeline run once on a tiny data set."""

import shutil
from pathlib import Path

import pytest

from tests.workflow.pipeline import Pipeline, make_videos


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    """A folder of tiny videos, some of them broken."""
    folder = tmp_path_factory.mktemp("data") / "videos"
    make_videos(folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory, videos) -> Pipeline:
    """The pipeline after a complete run. Tests must leave it as they found it."""
    folder = tmp_path_factory.mktemp("pipeline")
    shutil.copytree(videos, folder / "videos")
    pipeline = Pipeline(folder)
    pipeline.run("results/fusion_tiny.json")
    return pipeline


@pytest.fixture
def fresh(tmp_path, videos) -> Pipeline:
    """The videos only, nothing run."""
    shutil.copytree(videos, tmp_path / "videos")
    return Pipeline(tmp_path)
