"""What is on disk against what the lists name."""

import os

import pytest

from tsn.config.schema import DatasetConfig
from tsn.datasets.scan import list_videos
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
    return DatasetConfig("own", "folder", videos=str(tmp_path / "videos"))


@pytest.fixture
def ucf(own, tmp_path):
    """The same folder under lists that also name an absent video, a dangling link and a folder."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 a\n2 b\n")
    (lists / "trainlist01.txt").write_text("a/1.avi 1\nb/gone.avi 2\na/folder.avi 1\n")
    (lists / "testlist01.txt").write_text("b/absent.avi\n")
    return DatasetConfig("own", "ucf101", own.videos, str(lists), check_counts=False)


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
    from dataclasses import replace

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
        list_videos(DatasetConfig("own", "folder", videos="nowhere"), tmp_path)


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
    dataset = DatasetConfig("demo", "demo", train_per_class=2, test_per_class=1)
    listing = list_videos(dataset, tmp_path)
    assert len(listing.videos) == 3 * len(listing.classes)
    assert not any(video.missing for video in listing.videos)
    assert listing.videos[0].path.startswith(str(tmp_path / "demo" / "videos"))
