"""The pipeline run once on a tiny data set."""

import shutil

import pytest

from tests.workflow.pipeline import Pipeline, make_videos


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Pipeline:
    """The pipeline after a complete run. Tests must leave it as they found it."""
    folder = tmp_path_factory.mktemp("pipeline")
    make_videos(folder / "videos")
    pipeline = Pipeline(folder)
    pipeline.run("results/fusion_tiny.json")
    return pipeline


@pytest.fixture
def fresh(tmp_path, finished) -> Pipeline:
    """The videos only, nothing run."""
    shutil.copytree(finished.folder / "videos", tmp_path / "videos")
    return Pipeline(tmp_path)
