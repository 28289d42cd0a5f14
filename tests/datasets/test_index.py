"""The index: it survives any file name, and a new video touches one shard only."""

import os
from dataclasses import replace

import pytest

from tsn.config.datasets import FolderDataset
from tsn.config.fields import plain
from tsn.datasets.build_index import (
    index_dataset,
    report,
    shard_name,
    shard_of,
    videos_by_shard,
    write_index,
)
from tsn.datasets.index import check_unchanged, class_names, members, read_index
from tsn.datasets.listing import Listing
from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.video.span import Span

KEYS = ("exclude", "quarantine")  # data.missing, data.invalid_rows
AWFUL = [
    "a\tb", "a\nb", "a\rb", 'a"b', '"', "it's", "🎬", os.fsdecode(b"\xff\xfe"), "!(1)&@#", " a ",
    "{x}", "$(rm)", "%s", "-", "next\x85line",
]  # fmt: skip


def video(name: str, class_name="c", splits=None, stamp="1 2") -> Video:
    path = f"/v/{name}.avi"
    return Video(f"{class_name}/{name}", path, class_name, splits=splits or {}, stamp=stamp)


@pytest.mark.parametrize("name", AWFUL, ids=ascii)
def test_any_name_is_read_back(tmp_path, name):
    class_name = f"class {name}"
    listing = Listing((class_name,), (replace(video(name, class_name, {2: "test"}), group="g"),))
    write_index(tmp_path / "index.tsv", listing, 4, (1, 2))
    expected = Video(f"{class_name}/{name}", f"/v/{name}.avi", class_name, 0, {2: "test"}, "g")
    assert read_index(tmp_path / "index.tsv") == [expected]


def test_the_index_is_a_table_that_people_can_read(tmp_path):
    listing = Listing(("b", "a"), (video("1", "a", {1: "train"}), video("2", "b", stamp="missing")))
    write_index(tmp_path / "index.tsv", listing, 1, (1, 2))
    assert (tmp_path / "index.tsv").read_text().splitlines() == [
        "id\tpath\tclass\tlabel\tgroup\tspan\tshard\ton_disk\tsplit1\tsplit2",
        "a/1\t/v/1.avi\ta\t1\ta/1\t\t0\tyes\ttrain\t-",
        "b/2\t/v/2.avi\tb\t0\tb/2\t\t0\tno\t-\t-",
    ]


def test_labels_count_from_zero_over_the_classes_with_videos(tmp_path):
    listing = Listing(("a", "none", "c"), (video("1", "a"), video("2", "c")))
    write_index(tmp_path / "index.tsv", listing, 1, (1,))
    videos = read_index(tmp_path / "index.tsv")
    assert class_names(videos) == ["a", "c"]
    assert [v.label for v in videos] == [0, 1]


def test_without_missing_leaves_out_videos_and_classes_that_are_not_on_disk():
    listing = Listing(("a", "b"), (video("1", "a"), video("2", "b", stamp="missing")), ("x",))
    assert listing.without_missing() == Listing(("a",), (video("1", "a"),), ("x",))


def test_members_of_a_split_that_has_none_are_an_error():
    videos = [Video("a/1", "p", "a", 0, {1: "train"})]
    assert members(videos, 1, "train") == videos
    for split, part in ((1, "test"), (2, "train")):
        with pytest.raises(UserError, match=f"split {split} has no {part}"):
            members(videos, split, part)


def test_another_file_is_no_index(tmp_path):
    (tmp_path / "index.tsv").write_text("id\tname\n1\tx\n")
    with pytest.raises(UserError, match=r"index\.tsv: not a whole index"):
        read_index(tmp_path / "index.tsv")


def test_the_shard_of_a_video_is_part_of_the_file_format():
    """First 8 bytes of SHA-256 of the id, big-endian, modulo the number of shards.

    `printf c/x | sha256sum` begins with the digits below.
    """
    assert shard_of("c/x", 128) == 0x8D7B258D2F4B11AD % 128


def test_shards_are_filled_evenly():
    count = [0] * 16
    for n in range(1600):
        count[shard_of(f"class/video_{n}", 16)] += 1
    assert min(count) > 60 and max(count) < 140


def test_adding_or_changing_one_video_changes_its_shard_only():
    videos = [video(str(n)) for n in range(60)]
    before = videos_by_shard(videos, 8)
    assert len(before) == 8
    for changed, name in (
        ([*videos, video("new")], "c/new"),
        (videos[1:], "c/0"),
        ([video("0", stamp="1 3"), *videos[1:]], "c/0"),
    ):
        after = videos_by_shard(changed, 8)
        assert {n for n in before if before[n] != after[n]} == {shard_name(shard_of(name, 8))}


def test_clips_of_a_file_lie_in_a_shard_in_their_order():
    """So that it decodes the file in one pass; other videos stay where they are."""
    spans = [("10", 10.0), ("2", 2.0), ("whole", None), ("3.5", 3.5)]
    videos = [replace(video(n), path="a", span=s and Span(s, s + 9, "s")) for n, s in spans]
    (ordered,) = videos_by_shard(videos, 1).values()
    assert [v.id for v in ordered] == ["c/2", "c/3.5", "c/whole", "c/10"]


def test_an_empty_shard_is_left_out():
    assert list(videos_by_shard((video("1"),), 1000)) == [shard_name(shard_of("c/1", 1000))]


@pytest.mark.parametrize(("excluded", "fate"), [(True, "excluded"), (False, "quarantined")])
def test_the_report_names_what_is_missing_and_what_no_list_names(excluded, fate):
    listing = Listing(
        ("a", "b"),
        (
            video("1", "a", {1: "train"}),
            video("2", "a"),
            video("3\n", "b", {1: "test"}, stamp="missing"),
        ),
        ("b/extra.avi",),
    )
    lines = report(listing, (1,), excluded).splitlines()
    assert lines[0] == "2 of 3 listed videos on disk, in 1 of 2 classes"
    assert lines[1] == "split 1: 1 train, 0 test, 1 in neither"
    assert lines[2:4] == ["1 classes without a test video in split 1:", "  'a'"]
    assert lines[4].startswith(f"1 missing, {fate}")
    assert lines[5:8] == [r"  'b/3\n'", "1 unlisted, not used:", "  'b/extra.avi'"]
    assert lines[8] == "videos on disk by class:"
    assert [line.split() for line in lines[9:]] == [
        ["class", "train1", "test1"],
        ["'a'", "1", "0"],
        ["'b'", "0", "0"],
    ]


def test_index_dataset_writes_index_and_report(tmp_path, caplog):
    caplog.set_level("INFO", "tsn")
    (tmp_path / "videos" / "a").mkdir(parents=True)
    for name in ("1.avi", "2.avi", "readme"):
        (tmp_path / "videos" / "a" / name).touch()
    dataset = plain(FolderDataset("own", str(tmp_path / "videos"), shards=2))
    index, text = tmp_path / "index.tsv", tmp_path / "index.txt"
    index_dataset(dataset, tmp_path, *KEYS, index, text)
    assert [video.id for video in read_index(index)] == ["a/1", "a/2"]
    assert sorted(video.splits[1] for video in read_index(index)) == ["test", "train"]
    assert "'a/readme'" in text.read_text()
    assert caplog.messages[0].endswith(f"\n1 unlisted, not used\nby name: {text}")
    check_unchanged(index)


def test_a_class_that_a_group_keeps_out_of_the_test_is_reported(tmp_path):
    for name in ("a/g1 1", "a/g1 2", "b/g2 1", "b/g3 1"):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dataset = FolderDataset("own", str(tmp_path / "videos"), shards=2, group_pattern=r"g\d")
    text = tmp_path / "index.txt"
    index_dataset(plain(dataset), tmp_path, *KEYS, tmp_path / "index.tsv", text)
    assert "1 classes without a test video in split 1:\n  'a'\n" in text.read_text()


@pytest.mark.parametrize("change", [("train", "test"), ("a/1", "a/3"), ("\t0\t", "\t1\t")])
def test_an_edited_index_is_found(tmp_path, change):
    (tmp_path / "videos" / "a").mkdir(parents=True)
    for name in ("1.avi", "2.avi"):
        (tmp_path / "videos" / "a" / name).touch()
    dataset = plain(FolderDataset("own", str(tmp_path / "videos"), shards=2))
    index = tmp_path / "index.tsv"
    index_dataset(dataset, tmp_path, *KEYS, index, tmp_path / "index.txt")
    index.write_text(index.read_text().replace(*change, 1))
    with pytest.raises(UserError, match=r"index\.tsv.*--forcerun index_videos"):
        check_unchanged(index)


def test_a_split_without_test_videos_stops_at_the_index(tmp_path):
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "videos" / "a" / "only.avi").touch()
    dataset = plain(FolderDataset("own", str(tmp_path / "videos"), shards=2))
    with pytest.raises(UserError, match=r"datasets\.own: split 1 has no test video"):
        index_dataset(dataset, tmp_path, *KEYS, tmp_path / "index.tsv", tmp_path / "index.txt")
    assert not (tmp_path / "index.tsv").exists()
