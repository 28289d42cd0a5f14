"""Warped-flow shards follow the settings that their flow shards were made with."""

from tsn.config.schema import FlowConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.demo import plan, render
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard
from tsn.shards.format import Shard


def test_the_limit_of_frames_is_that_of_the_configuration(tmp_path):
    render(plan(1, 1, 1)[0], tmp_path / "a.mp4", (64, 48), 12)
    videos = [Video("a", str(tmp_path / "a.mp4"), "class")]
    flow = FlowConfig("native_cpu", 20.0, TVL1Params(pyramid_levels=1, warps=1))
    build_flow_shard(tmp_path / "flow.h5", videos, (64, 48), flow, 1)
    build_warped_shard(tmp_path / "warped.h5", tmp_path / "flow.h5", videos, flow, 1, max_frames=5)
    with Shard(tmp_path / "warped.h5") as shard:
        assert shard.videos["a"].status == "too_long"
