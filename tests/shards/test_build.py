"""Building shards: many videos at a time, clips of one file."""

import numpy as np
import pytest

from tsn.config.schema import FlowConfig, FramesConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard
from tsn.video.span import Span

FLOW = FlowConfig("native_cpu", 10.0, TVL1Params(pyramid_levels=2, warps=1))


@pytest.fixture
def videos(write_video, images, tmp_path):
    (tmp_path / "text.avi").write_text("no video")
    good = [write_video(f"{n}.mkv", np.roll(images, n, axis=2)) for n in range(4)]
    paths = [good[0], tmp_path / "text.avi", *good[1:]]
    return [Video(path.stem, str(path), "class") for path in paths]


def test_shards_do_not_depend_on_how_many_videos_are_worked_on_at_once(videos, tmp_path):
    for at_once in (1, 3):
        flow = tmp_path / f"flow{at_once}.h5"
        build_flow_shard(flow, videos, (32, 24), FLOW, at_once)
        build_warped_shard(tmp_path / f"warped{at_once}.h5", flow, videos, FLOW, at_once)
    for stream in ("flow", "warped"):
        one, three = (tmp_path / f"{stream}{at_once}.h5" for at_once in (1, 3))
        assert one.read_bytes() == three.read_bytes()
        with Shard(one) as shard:
            assert [v.status for v in shard.videos.values()] == [
                "ok",
                "unreadable",
                "ok",
                "ok",
                "ok",
            ]


def test_clips_of_one_file_are_videos_of_their_own(tmp_path, write_video, images):
    """They may overlap; one beyond the end is quarantined by name, and stops no other."""
    path = str(write_video("long.mkv", images))
    spans = [
        Span(0.0, 0.2, "s"),
        Span(0.12, 9.0, "s"),
        Span(4, 8, "frames"),
        Span(20, 30, "frames"),
    ]
    clips = [Video(f"long#{span}", path, "c", span=span) for span in spans]
    build_rgb_shard(tmp_path / "a.h5", clips, FramesConfig((64, 48), 100))
    with Shard(tmp_path / "a.h5") as shard:
        stored = list(shard.videos.values())
    assert [video.length for video in stored] == [5, 9, 4, 0]
    assert [video.status for video in stored] == ["ok", "ok", "ok", "too_short"]
