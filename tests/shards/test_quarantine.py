"""The quarantine list names every video that could not be used."""

import os

import numpy as np
import pytest

from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.shards.format import write_shard
from tsn.shards.quarantine import (
    Quarantined,
    check_stream,
    merge_streams,
    read_quarantine,
    write_quarantine,
)
from tsn.shards.store import ShardSet


@pytest.fixture
def store(tmp_path):
    with write_shard(tmp_path / "0.h5", "rgb", (8, 6), {}, {}) as writer:
        writer.quarantine("c/1", "c", "missing", "does not exist")
        writer.quarantine("c/2", "c", "empty", "has no bytes")
    return ShardSet([tmp_path / "0.h5"])


def video(name: str) -> Video:
    return Video(name, f"{name}.avi", "c", 0, {})


VIDEOS = [video("c/1"), video("c/2")]


def test_bad_videos_are_written_with_their_reason(tmp_path, store):
    check_stream(tmp_path / "q.tsv", store, VIDEOS, 2)
    assert read_quarantine(tmp_path / "q.tsv") == [
        Quarantined("c/1", "rgb", "missing", "does not exist"),
        Quarantined("c/2", "rgb", "empty", "has no bytes"),
    ]


def test_videos_that_are_no_longer_in_the_index_do_not_count(tmp_path, store):
    check_stream(tmp_path / "q.tsv", store, VIDEOS[:1], 1)
    assert len(read_quarantine(tmp_path / "q.tsv")) == 1


def test_too_many_stop_the_run_and_are_logged_by_name(tmp_path, store, caplog):
    with caplog.at_level("INFO", logger="tsn"), pytest.raises(UserError) as caught:
        check_stream(tmp_path / "q.tsv", store, VIDEOS, 1)
    for word in ("2 videos", "rgb", "data.max_quarantined", "allows 1", "data.missing: exclude"):
        assert word in str(caught.value)
    assert "c/1: missing: does not exist" in caplog.text and "c/2" in caplog.text
    assert not (tmp_path / "q.tsv").exists()


def test_a_video_without_a_shard_is_an_error(tmp_path, store):
    with pytest.raises(UserError, match="c/9"):
        check_stream(tmp_path / "q.tsv", store, [video("c/9")], 5)


def test_merging_names_each_video_once_with_all_its_streams(tmp_path):
    bad = os.fsdecode(b"c/\xff\t\r\n")
    write_quarantine(tmp_path / "1.tsv", [Quarantined("c/z", "rgb", "empty", "m")])
    write_quarantine(
        tmp_path / "2.tsv",
        [Quarantined(bad, "flow", "truncated", bad), Quarantined("c/z", "flow", "empty", "m")],
    )
    merge_streams(tmp_path / "q.tsv", [tmp_path / "1.tsv", tmp_path / "2.tsv"])
    assert read_quarantine(tmp_path / "q.tsv") == [
        Quarantined("c/z", "rgb,flow", "empty", "m"),
        Quarantined(bad, "flow", "truncated", bad),
    ]


@pytest.mark.parametrize(("fraction", "warned"), [(0.25, True), (0.002, False)])
def test_flow_that_the_bound_clips_is_warned_of(tmp_path, caplog, fraction, warned):
    """Two videos of one field each, of which the second one is clipped."""

    def fields(writer, clipped):
        yield np.zeros((1, 2, 6, 8), np.uint8)
        writer.count_clipped(clipped, 1)

    with write_shard(tmp_path / "0.h5", "flow", (8, 6), {}, {}) as writer:
        writer.add("c/1", "c", fields(writer, 0))
        writer.add("c/2", "c", fields(writer, fraction))
    shards = ShardSet([tmp_path / "0.h5"])
    assert shards.clipped("c/2") == pytest.approx(fraction) and shards.clipped("c/1") == 0
    with caplog.at_level("WARNING", "tsn"):
        check_stream(tmp_path / "q.tsv", shards, VIDEOS, 0)
    sentence = (
        "12.5 % of the flow is beyond flow.bound and was clipped, most of all in c/2 (25.0 %)"
    )
    assert (sentence in caplog.text) == warned
