"""What a change makes Snakemake run again: that stage, what follows, and nothing else.

`test_keys.py` goes through every key.
"""

import shutil

import pytest

from tests.workflow.pipeline import CLASSES

pytestmark = pytest.mark.slow

FUSION = {"fuse_scores", "summarise_fusion", "draw_results", "write_report", "publish_fusion"}


def test_a_second_run_does_nothing(finished):
    assert finished.would_run() == {}


def test_fusion_weights_rerun_fusion_only(finished):
    other = finished.changed("fusion", weights={"rgb": 1, "flow": 2})
    assert set(other.would_run()) == FUSION


def test_a_training_key_reruns_training_and_what_follows(finished):
    jobs = finished.changed("training", lr=0.002).would_run()
    assert set(jobs) == {"train_model", "score_videos", *FUSION}
    assert jobs["train_model"] == jobs["score_videos"] == 3


def test_a_training_key_of_one_modality_reruns_that_modality(finished):
    jobs = finished.changed("training", per_modality={"flow": {"dropout": 0.5}}).would_run()
    assert jobs["train_model"] == jobs["score_videos"] == 1


def test_a_flow_key_reruns_flow_and_its_models_and_not_rgb(finished):
    jobs = finished.changed("flow", warps=3).would_run()
    assert set(jobs) == {
        "compute_flow",
        "compute_warped_flow",
        "check_shards",
        "list_quarantined",
        "draw_clips",
        "train_model",
        "score_videos",
        *FUSION,
    }
    assert jobs["train_model"] == jobs["check_shards"] == 2


@pytest.fixture
def one_more_video(finished):
    videos = finished.folder / "videos" / CLASSES[0]
    new = videos / "a new one.mp4"
    shutil.copy(next(videos.glob("train*.mp4")), new)
    yield new
    new.unlink()


def test_one_more_video_reruns_one_shard_per_stream(finished, one_more_video):
    jobs = finished.would_run()
    shards = [jobs.get(rule) for rule in ("decode_frames", "compute_flow", "compute_warped_flow")]
    assert shards == [1, 1, 1]
    assert jobs["index_videos"] == 1
    assert jobs["train_model"] == 3


def test_a_replaced_video_reruns_its_shard(finished):
    video = next((finished.folder / "videos" / CLASSES[1]).glob("train*.mp4"))
    before = video.stat()
    backup = video.read_bytes()
    video.write_bytes(backup + b"\0")
    try:
        jobs = finished.would_run()
        assert jobs["decode_frames"] == jobs["compute_flow"] == 1
    finally:
        video.write_bytes(backup)
        import os

        os.utime(video, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert finished.would_run() == {}
