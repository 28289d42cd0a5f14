"""The lists of videos that a run hands to its jobs."""

from dataclasses import replace

import pytest

from tsn.datasets.records import MISSING, Video
from tsn.runtime.errors import UserError
from tsn.shards.lists import ShardLists, digest, read_list

SHARDS = {
    "0000": [
        Video("a/x", "v/a/x.avi", "a", stamp="1 2"),
        Video("a/tab\there", "v/a/tab\there.avi", "a", stamp="3 4"),
    ],
    "0002": [Video("b/\udcff", "v/b/\udcff.avi", "b", stamp=MISSING)],
}


def planner(folder, shards=SHARDS) -> ShardLists:
    return ShardLists(folder, lambda dataset: {"set": shards}[dataset], is_job=False)


def write(folder, shards=SHARDS) -> ShardLists:
    lists = planner(folder, shards)
    lists.shards("set")
    lists.write()
    return lists


def test_a_job_gets_the_videos_that_were_found_whatever_their_names(tmp_path):
    lists = write(tmp_path)
    for shard, videos in SHARDS.items():
        assert read_list(*lists.list_and_digest("set", shard)) == videos


def test_a_job_on_another_node_does_not_look_for_the_videos_again(tmp_path):
    planned = write(tmp_path)

    def find(_):
        raise AssertionError("the data set was looked through")

    (tmp_path / "set" / "shards" / "videos" / "._0000.tsv").touch()  # as macOS leaves behind
    job = ShardLists(tmp_path, find, is_job=True)
    assert job.shards("set") == planned.shards("set") == ["0000", "0002"]
    assert job.list_and_digest("set", "0002") == planned.list_and_digest("set", "0002")


def test_the_process_that_plans_always_looks(tmp_path):
    write(tmp_path)
    changed = {**SHARDS, "0002": [Video("b/new", "v/b/new.avi", "b", stamp="5 6")]}
    assert planner(tmp_path, changed).list_and_digest("set", "0002")[1] == digest(changed["0002"])


def test_a_new_stamp_changes_the_digest_of_its_shard_only(tmp_path):
    touched = {**SHARDS, "0002": [replace(SHARDS["0002"][0], stamp="7 8")]}
    old, new = planner(tmp_path), planner(tmp_path, touched)
    assert old.list_and_digest("set", "0000") == new.list_and_digest("set", "0000")
    assert old.list_and_digest("set", "0002") != new.list_and_digest("set", "0002")


def test_splits_and_labels_do_not_belong_to_a_shard():
    """It holds frames, so another split file must not decode anything again."""
    video = SHARDS["0000"][0]
    assert digest([replace(video, label=3, splits={1: "test"})]) == digest([video])


def test_lists_that_say_the_same_are_left_alone_and_old_ones_removed(tmp_path):
    write(tmp_path)
    folder = tmp_path / "set" / "shards" / "videos"
    before = (folder / "0000.tsv").stat()
    write(tmp_path, {"0000": SHARDS["0000"]})
    after = (folder / "0000.tsv").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert [file.name for file in folder.iterdir()] == ["0000.tsv"]


def test_a_list_of_another_run_is_refused(tmp_path):
    file, expected = write(tmp_path).list_and_digest("set", "0000")
    write(tmp_path, {"0000": SHARDS["0000"][:1]})
    with pytest.raises(UserError, match=r"0000\.tsv: names other videos than when"):
        read_list(file, expected)


def test_no_list_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match="without --no-hooks"):
        read_list(*planner(tmp_path).list_and_digest("set", "0000"))


def test_a_shard_without_videos_is_told(tmp_path):
    with pytest.raises(UserError, match="set: there is no video in shard 0001"):
        planner(tmp_path).list_and_digest("set", "0001")
