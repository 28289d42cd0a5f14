"""What is on disk against what the lists name."""

import errno
import os
import re
from dataclasses import replace

import pytest

from tsn.config.datasets import DemoDataset, FolderDataset, OfficialDataset
from tsn.datasets.build_index import plan_listing
from tsn.datasets.listing import list_videos, oddities
from tsn.runtime.errors import UserError


@pytest.fixture
def own(tmp_path):
    """A folder data set: classes a and b, an unlisted text file, a hidden file, a dangling link."""
    for name in ("a/1.avi", "a/2.MP4", "b/3.webm", "b/notes.txt", "b/.hidden.avi", ".git/x.avi"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    (tmp_path / "videos" / "b" / "gone.avi").symlink_to("nowhere")
    (tmp_path / "videos" / "loose.avi").write_bytes(b"not in a class")
    (tmp_path / "videos" / "a" / "folder.avi").mkdir()
    return FolderDataset("own", str(tmp_path / "videos"))


@pytest.fixture
def ucf(own, tmp_path):
    """The same folder under lists that also name an absent video, a dangling link and a folder."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 a\n2 b\n")
    (lists / "trainlist01.txt").write_text("a/1.avi 1\nb/gone.avi 2\na/folder.avi 1\n")
    (lists / "testlist01.txt").write_text("b/absent.avi\n")
    return OfficialDataset("own", "ucf101", own.videos, str(lists), check_counts=False)


def test_a_folder_lists_its_videos_by_ending_and_reports_the_rest(own, tmp_path):
    listing = list_videos(own, tmp_path)
    assert listing.classes == ("a", "b")
    assert [video.id for video in listing.videos] == ["a/1", "a/2", "b/3", "b/gone"]
    assert [video.id for video in listing.videos if video.missing] == ["b/gone"]
    assert listing.videos[0].path == f"{own.videos}/a/1.avi"
    assert listing.unlisted == ("a/folder.avi/", "b/notes.txt", "loose.avi")


def test_listed_videos_that_are_not_files_are_missing(ucf, tmp_path):
    listing = list_videos(ucf, tmp_path)
    missing = {video.id for video in listing.videos if video.missing}
    assert missing == {"b/gone", "b/absent", "a/folder"}


def test_files_that_no_list_names_are_reported(ucf, tmp_path):
    assert list_videos(ucf, tmp_path).unlisted == (
        "a/2.MP4", "a/folder.avi/", "b/3.webm", "b/notes.txt", "loose.avi",
    )  # fmt: skip


def test_under_a_restriction_only_its_classes_are_reported(ucf, tmp_path):
    assert list_videos(replace(ucf, classes=("a",)), tmp_path).unlisted == (
        "a/2.MP4",
        "a/folder.avi/",
    )


def test_videos_come_in_the_order_of_their_ids(ucf, tmp_path):
    ids = [video.id for video in list_videos(ucf, tmp_path).videos]
    assert ids == sorted(ids)


def test_the_stamp_changes_with_size_or_time(own, tmp_path):
    video = tmp_path / "videos" / "a" / "1.avi"
    stamps = {list_videos(own, tmp_path).videos[0].stamp}
    video.write_bytes(b"longer than before")
    stamps.add(list_videos(own, tmp_path).videos[0].stamp)
    os.utime(video, ns=(1, 1))
    stamps.add(list_videos(own, tmp_path).videos[0].stamp)
    assert len(stamps) == 3


def test_an_absent_folder_is_named_with_the_key(tmp_path):
    with pytest.raises(UserError, match=r"datasets\.own\.videos.*'nowhere'"):
        list_videos(FolderDataset("own", "nowhere"), tmp_path)


def test_a_folder_with_none_of_the_listed_videos_is_refused_with_an_example(ucf, tmp_path):
    (tmp_path / "videos" / "a" / "1.avi").unlink()
    with pytest.raises(UserError, match=r"none of the 4 listed.*a/1\.avi"):
        list_videos(ucf, tmp_path)


def test_lists_without_a_video_are_refused(ucf, tmp_path):
    for name in ("trainlist01.txt", "testlist01.txt"):
        (tmp_path / "lists" / name).write_text("")
    with pytest.raises(UserError, match=r"datasets\.own\.lists.*no video"):
        list_videos(ucf, tmp_path)


def test_the_demo_set_is_known_before_it_is_rendered(tmp_path):
    dataset = DemoDataset("demo", train_per_class=2, test_per_class=1)
    listing = list_videos(dataset, tmp_path)
    assert len(listing.videos) == 3 * len(listing.classes)
    assert not any(video.missing for video in listing.videos)
    assert listing.videos[0].path.startswith(str(tmp_path / "demo" / "videos"))


def test_what_cannot_be_read_is_reported_and_stops_nothing_else(own, tmp_path, monkeypatch):
    """A self-link, a folder and a file that the disk does not give, a link back up."""
    videos = tmp_path / "videos"
    (videos / "itself").symlink_to("itself")
    (videos / "b" / "up").symlink_to("..")
    (videos / "locked").mkdir()
    (videos / "a" / "stale.avi").write_bytes(b"video")
    scandir = os.scandir

    def refusing(folder):
        if str(folder).endswith("locked"):
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    monkeypatch.setattr("tsn.datasets.scan._status", stale)
    listing = list_videos(replace(own, nested=True), tmp_path)
    assert [v.id for v in listing.videos if not v.missing] == ["a/1", "a/2", "b/3"]
    assert listing.unreadable == (
        "a/stale.avi (Stale file handle)",
        "b/up/ (links to a folder above it)",
        "itself (Too many levels of symbolic links)",
        "locked (Permission denied)",
    )


def stale(entry: os.DirEntry) -> os.stat_result:
    if entry.name == "stale.avi":
        raise OSError(errno.ESTALE, "Stale file handle", entry.path)
    return entry.stat()


def test_a_folder_of_videos_that_cannot_be_read_is_one_sentence(own, tmp_path, monkeypatch):
    def refuse(folder):
        raise OSError(errno.EIO, "Input/output error", folder)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(UserError, match=r"own\.videos.*cannot be read \(Input/output error\)"):
        list_videos(own, tmp_path)


def test_side_files_are_neither_videos_nor_reported(own, tmp_path):
    before = list_videos(own, tmp_path)
    for name in ("._1.avi", ".DS_Store", "Thumbs.db", "desktop.ini", "1.avi~", "~$1.avi"):
        (tmp_path / "videos" / "a" / name).write_bytes(b"?")
    for name in ("@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"):
        (tmp_path / "videos" / name).mkdir()
        (tmp_path / "videos" / name / "1.avi").write_bytes(b"?")
    (tmp_path / "videos" / "a" / "half.avi.part").write_bytes(b"?")
    after = list_videos(own, tmp_path)
    assert after.videos == before.videos
    assert {*after.unlisted} - {*before.unlisted} == {"a/half.avi.part"}


def test_names_that_the_locale_has_misread_are_told(own, ucf, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.getfilesystemencoding", lambda: "gbk")
    list_videos(ucf, tmp_path)
    (tmp_path / "videos" / "a" / "\u00e9.avi").write_bytes(b"video")
    words = r"such as '.*\u00e9\.avi' are taken for gbk.*set PYTHONUTF8=1"
    (warning,) = oddities(list_videos(own, tmp_path), ())
    assert re.search(words, warning)
    with pytest.raises(UserError, match=words):  # its lists are in UTF-8, and name others
        list_videos(ucf, tmp_path)


def test_streams_that_yt_dlp_joins_are_no_videos(own, tmp_path):
    before = list_videos(own, tmp_path)
    for name in ("1.f137.avi", "1.f251-drc.webm", "1.temp.avi"):
        (tmp_path / "videos" / "a" / name).write_bytes(b"?")
    after = list_videos(own, tmp_path)
    assert after.videos == before.videos
    assert {*after.unlisted} - {*before.unlisted} == {
        *("a/1.f137.avi", "a/1.f251-drc.webm", "a/1.temp.avi")
    }


def test_a_video_is_found_by_another_ending_and_a_near_name_is_told(ucf, tmp_path):
    (tmp_path / "videos" / "b" / "absent.mp4").write_bytes(b"video")
    (tmp_path / "videos" / "a" / "Folder.avi").write_bytes(b"video")
    listing = list_videos(ucf, tmp_path)
    assert {video.id for video in listing.videos if video.missing} == {"b/gone", "a/folder"}
    assert listing.near == ("'a/folder.avi': there is 'a/Folder.avi'",)
    assert f"{ucf.videos}/b/absent.mp4" in [video.path for video in listing.videos]


def test_a_name_that_is_not_utf8_is_a_video_like_any_other(own, tmp_path):
    name = os.fsdecode(b"\xff\xfe.avi")
    (tmp_path / "videos" / "a" / name).write_bytes(b"video")
    listing = list_videos(own, tmp_path)
    assert f"a/{name[:-4]}" in [video.id for video in listing.videos if not video.missing]


def test_empty_class_folders_are_reported(own, tmp_path):
    (tmp_path / "videos" / "c").mkdir()
    assert list_videos(own, tmp_path).empty == ("c",)


def test_parts_above_the_class_folders_are_the_split(tmp_path):
    for name in ("train/a/1", "train/b/2", "val/a/3", "test/b/4"):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dataset = FolderDataset("own", str(tmp_path / "videos"))
    listing = list_videos(dataset, tmp_path)
    assert listing.classes == ("a", "b")
    splits = {video.id: video.splits for video in listing.videos}
    assert splits == {
        "train/a/1": {1: "train"},
        "train/b/2": {1: "train"},
        "val/a/3": {},
        "test/b/4": {1: "test"},
    }
    other = replace(dataset, parts={"val": "test", "test": None})
    splits = {video.id: video.splits for video in list_videos(other, tmp_path).videos}
    assert splits["val/a/3"] == {1: "test"} and splits["test/b/4"] == {}
    (tmp_path / "videos" / "extra" / "c").mkdir(parents=True)
    (tmp_path / "videos" / "extra" / "c" / "5.avi").touch()
    with_extra = list_videos(dataset, tmp_path)
    assert (with_extra.videos, with_extra.unlisted) == (listing.videos, ("extra/c/5.avi",))
    assert len(list_videos(replace(dataset, parts={"extra": "train"}), tmp_path).videos) == 5


def test_classes_called_train_and_test_are_classes_beside_others(tmp_path):
    for name in ("train/1", "train/2", "test/3", "test/4", "bus/5", "bus/6"):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dataset = FolderDataset("own", str(tmp_path / "videos"))
    assert list_videos(dataset, tmp_path).classes == ("bus", "test", "train")


def test_nested_class_folders_are_classes_by_their_path(tmp_path):
    for name in ("sport/ball/1", "sport/ball/2", "sport/3", "work/4"):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    dataset = FolderDataset("own", str(tmp_path / "videos"), nested=True)
    assert list_videos(dataset, tmp_path).classes == ("sport", "sport/ball", "work")


def test_a_split_of_missing_videos_only_is_refused_before_anything_is_computed(ucf, tmp_path):
    """As with `data.missing: quarantine`, where the videos would stay in the index."""
    with pytest.raises(UserError, match=r"split 1 has no test video on disk \(all 1 are missing"):
        plan_listing(ucf, tmp_path, "quarantine", "quarantine")


def test_what_is_odd_is_said_before_anything_is_computed(ucf, tmp_path):
    (sentence,) = oddities(list_videos(ucf, tmp_path), (1,))
    assert sentence == "1 classes have no video on disk to train on in split 1, such as 'b'"


def test_a_data_set_of_one_class_is_odd(ucf, tmp_path):
    (sentence,) = oddities(list_videos(replace(ucf, classes=("a",)), tmp_path), ())
    assert sentence == "all videos are of class 'a': there is nothing to tell apart"
