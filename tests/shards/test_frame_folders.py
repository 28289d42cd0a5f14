"""Shards from folders of frames and flow."""

import numpy as np
import pytest

from tests.frame_folders import write_images
from tsn.config.frame_folders import FrameFolders
from tsn.config.schema import FlowConfig, FramesConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard

FLOW = FlowConfig("native_cpu", 10.0, TVL1Params(pyramid_levels=2, warps=1))
FOLDERS = FrameFolders("mmaction2")
TSN = FOLDERS.names
SIZE = (32, 24)


@pytest.fixture
def videos(tmp_path) -> list[Video]:
    whole = write_images(tmp_path / "whole", TSN, 5, 4)
    short = write_images(tmp_path / "short", TSN, 5, 3)
    return [Video(folder.name, str(folder), "c") for folder in (whole, short)]


def stored_bytes(shard: Shard, number: int) -> bytes:
    file = shard._file
    start, stop = file["offsets"][number : number + 2]
    return file["jpeg"][start:stop].tobytes()


def test_jpegs_of_the_right_size_are_copied_and_others_encoded_again(videos, tmp_path):
    original = (tmp_path / "whole/img_00001.jpg").read_bytes()
    build_rgb_shard(tmp_path / "same.h5", videos, FramesConfig(SIZE, 95), folders=FOLDERS)
    build_rgb_shard(tmp_path / "other.h5", videos, FramesConfig((16, 16), 95), folders=FOLDERS)
    with Shard(tmp_path / "same.h5") as same, Shard(tmp_path / "other.h5") as other:
        assert stored_bytes(same, 0) == original
        assert stored_bytes(other, 0) != original
        assert other.read(other.videos["whole"], [4]).shape == (1, 16, 16, 3)
        assert same.fingerprint["imported"] == {"naming": "mmaction2", "rgb": "img_{:05d}.jpg"}


def test_flow_is_stored_as_it_was_quantised_and_a_video_that_lacks_some_is_named(videos, tmp_path):
    build_flow_shard(tmp_path / "flow.h5", videos, SIZE, FLOW, 1, folders=FOLDERS)
    with Shard(tmp_path / "flow.h5") as shard:
        whole, short = shard.videos.values()
        fields = shard.read(whole, range(4))
        assert fields[:, :, 0, 0].tolist() == [[100 + n, 200 + n] for n in range(4)]
        assert short.status == "incomplete"
        assert "has 3 flow fields where 5 frames have 4" in short.message
        assert (shard.fingerprint["algorithm"], shard.fingerprint["bound"]) == ("imported", 20)


def test_flow_of_another_size_has_vectors_of_that_size(videos, tmp_path):
    """At half the width a motion is half as wide, and at twice the height twice as high."""
    build_flow_shard(tmp_path / "flow.h5", videos[:1], (16, 48), FLOW, 1, folders=FOLDERS)
    with Shard(tmp_path / "flow.h5") as shard:
        (field,) = shard.read(shard.videos["whole"], [0])
    assert field[0].max() == field[0].min() == round(127.5 + (100 - 127.5) / 2 + 0.01)
    assert field[1].max() == field[1].min() == 255  # 127.5 + 2 * 72.5, clipped


def test_flow_is_computed_where_there_is_none_to_import(videos, tmp_path):
    frames = FrameFolders("mmaction2", compute_flow=True)
    build_flow_shard(tmp_path / "flow.h5", videos, SIZE, FLOW, 1, folders=frames)
    with Shard(tmp_path / "flow.h5") as shard:
        assert [video.length for video in shard.videos.values()] == [4, 4]
        assert shard.fingerprint["algorithm"] == "tvl1"


def test_warped_flow_is_made_of_imported_flow_within_its_bound(videos, tmp_path):
    build_flow_shard(tmp_path / "flow.h5", videos, SIZE, FLOW, 1, folders=FOLDERS)
    build_warped_shard(tmp_path / "w.h5", tmp_path / "flow.h5", videos, FLOW, 1, folders=FOLDERS)
    with Shard(tmp_path / "w.h5") as shard:
        assert [video.length for video in shard.videos.values()] == [4, 0]
        assert shard.fingerprint["bound"] == 20
        assert np.all(shard.read(shard.videos["whole"], [0]) > 0)
