"""One SLURM for all tests here, where its programs are installed."""

import os

import pytest

from tests.slurm.cluster import Cluster, missing_programs


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """A controller and two nodes, each with one fake GPU."""
    missing = missing_programs()
    if missing:
        # The project's own CI installs them and must not pass without these tests.
        assert "REQUIRE_SLURM" not in os.environ, f"not installed: {missing}"
        pytest.skip(
            f"SLURM is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge"
        )
    cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()
