"""What the report says about the flow of a data set."""

import numpy as np
import pytest

from tsn.datasets.records import Video
from tsn.report.motion import Motion, read_motion, write_motion
from tsn.shards.format import write_shard
from tsn.shards.store import ShardSet

SIZE, LENGTHS = (8, 6), {"still/1": 3, "pan/1": 40, "pan/2": 2}


@pytest.fixture
def stores(tmp_path):
    """Video "pan/1": the camera moves in every second pair; in no other video it does."""
    rng = np.random.default_rng(0)
    fields = {
        name: rng.integers(0, 256, (length, 2, 6, 8), np.uint8) for name, length in LENGTHS.items()
    }
    found = {}
    for stream in ("flow", "warped_flow"):
        with write_shard(tmp_path / f"{stream}.h5", stream, SIZE, {"bound": 20}, {}) as writer:
            for name, data in fields.items():
                writer.add(name, name.split("/")[0], _counting(writer, name, data))
            writer.quarantine("pan/3", "pan", "missing", "")
        found[stream] = ShardSet([tmp_path / f"{stream}.h5"])
        fields["pan/1"] = fields["pan/1"].copy()
        fields["pan/1"][::2, 0, 0, 0] ^= 1
    return found


def _counting(writer, name, data):
    yield data
    writer.count_clipped({"still/1": 0.06, "pan/1": 0.5, "pan/2": 0.01}[name], len(data))


INDEX = [Video(name, "", name.split("/")[0]) for name in (*LENGTHS, "pan/3")]


def test_the_camera_moves_where_warped_flow_is_not_the_flow(stores, tmp_path):
    write_motion(tmp_path / "motion.json", INDEX, stores)
    motion = read_motion(tmp_path / "motion.json")
    # 8 of 40 pairs are looked up: 0, 6, 11, 17, 22, 28, 33, 39, of which four are even.
    assert motion.camera == {"pan": pytest.approx(4 / 8 / 2), "still": 0}


def test_videos_that_are_clipped_much_are_named(stores, tmp_path):
    write_motion(tmp_path / "motion.json", INDEX, {"flow": stores["flow"]})
    assert read_motion(tmp_path / "motion.json") == Motion({}, {"pan/1": 0.5, "still/1": 0.06})


def test_without_flow_there_is_nothing_to_say(tmp_path):
    write_motion(tmp_path / "motion.json", INDEX, {})
    assert read_motion(tmp_path / "motion.json") == Motion({}, {})
