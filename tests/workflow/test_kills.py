"""Killed at any moment and typed again, the command ends with the same bytes.

`benchmarks/kills.py` does the same dozens of times through all stages.
"""

import signal

import pytest

from tests.workflow.kills import go_on, kill_once, left_behind

pytestmark = pytest.mark.slow

TARGET = "results/tiny/shards/rgb.quarantine.tsv"
KILLS = [  # who and how, 0.7 seconds after the first job has started
    ("main", signal.SIGKILL),
    ("job", signal.SIGKILL),
    ("all", signal.SIGKILL),
]


def shards(pipeline) -> dict[str, bytes]:
    files = pipeline.folder.glob("results/tiny/shards/rgb/*.h5")
    return {path.name: path.read_bytes() for path in files}


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_shards(finished, fresh):
    for way in KILLS:
        kill = kill_once(fresh, way, 1, 0.7, TARGET)
        assert kill is not None, "the run was over before it was killed"
        go_on(fresh, kill, TARGET)
    fresh.run(TARGET)
    found = shards(fresh)
    assert len(found) == 2 and left_behind(fresh.folder) == []
    assert found == shards(finished)
