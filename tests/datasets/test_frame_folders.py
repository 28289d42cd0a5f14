"""Data sets whose videos are folders of images: which folders are found, and which are told."""

import tarfile

import pytest

from tests.frame_folders import write_images
from tsn.config.checks import checked_dataset
from tsn.config.frame_folders import FrameFolders
from tsn.datasets.listing import list_videos
from tsn.datasets.scan import scan_frame_folders
from tsn.runtime.errors import UserError


def folders_of(tmp_path, naming: str, **keys):
    block = {"videos": str(tmp_path), "frame_folders": {"naming": naming}, **keys}
    return list_videos(checked_dataset("own", block), tmp_path)


def test_folders_per_class(tmp_path):
    naming = FrameFolders("something_something").names
    for name in ("clap/1", "clap/2", "wave/3"):
        write_images(tmp_path / name, naming, 2, 0)
    (tmp_path / "wave/4").mkdir()
    (tmp_path / "wave/notes.txt").write_text("5 is missing")
    listing = folders_of(tmp_path, "something_something", layout="folder")
    assert [(v.id, v.class_name) for v in listing.videos] == [
        ("clap/1", "clap"),
        ("clap/2", "clap"),
        ("wave/3", "wave"),
    ]
    assert listing.unlisted == ("wave/4/", "wave/notes.txt")
    with pytest.raises(UserError, match=r"folders of images named img_\{:05d\}\.jpg"):
        folders_of(tmp_path, "mmaction2", layout="folder")


def test_official_videos_are_found_without_the_folders_of_their_classes(tmp_path):
    """As in the archives of twostreamfusion, and as dense_flow writes them."""
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Clap\n2 Wave\n")
    (lists / "trainlist01.txt").write_text("Clap/v_Clap_g08_c01.avi 1\nWave/v_Wave_g08_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("Clap/v_Clap_g01_c01.avi\nWave/v_Wave_g01_c01.avi\n")
    naming = FrameFolders("twostreamfusion").names
    root = tmp_path / "jpegs_256"
    for name in ("Clap_g08", "Clap_g01", "Wave_g08"):
        write_images(root / f"v_{name}_c01", naming, 3, 2)
    keys = {"layout": "ucf101", "lists": str(lists), "check_counts": False}
    listing = folders_of(root, "twostreamfusion", **keys)
    assert [(v.id, v.path.removeprefix(f"{root}/"), v.missing) for v in listing.videos] == [
        ("Clap/v_Clap_g01_c01", "v_Clap_g01_c01", False),
        ("Clap/v_Clap_g08_c01", "v_Clap_g08_c01", False),
        ("Wave/v_Wave_g01_c01", "Wave/v_Wave_g01_c01", True),
        ("Wave/v_Wave_g08_c01", "v_Wave_g08_c01", False),
    ]


def test_archives_of_frames_are_videos_and_archives_of_flow_are_not(tmp_path):
    naming = FrameFolders("epic_kitchens").names
    write_images(tmp_path / "unpacked/rgb_frames/P01_01", naming, 4, 2)
    for kind in ("rgb_frames", "flow_frames"):
        (tmp_path / "videos/P01" / kind).mkdir(parents=True)
        with tarfile.open(tmp_path / f"videos/P01/{kind}/P01_01.tar", "w") as archive:
            archive.add(tmp_path / f"unpacked/{kind}/P01_01", ".")
    found = scan_frame_folders(str(tmp_path / "videos"), naming)
    assert dict(found.videos()) == {"P01/rgb_frames/P01_01": "P01/rgb_frames/P01_01.tar"}


def test_the_stamp_changes_as_images_of_frames_or_flow_come_and_go(tmp_path):
    naming = FrameFolders("twostreamfusion").names
    video = write_images(tmp_path / "jpegs_256/v", naming, 3, 2)

    def stamp() -> str:
        return scan_frame_folders(str(tmp_path / "jpegs_256"), naming).files["v"]

    stamps = [stamp()]
    for path in (video, tmp_path / "tvl1_flow/v/v"):
        (path / "frame000001.jpg").unlink()
        stamps.append(stamp())
    assert len({*stamps}) == 3


def test_a_link_to_a_folder_above_is_told_instead_of_followed(tmp_path):
    write_images(tmp_path / "a/v", FrameFolders("mmaction2").names, 2, 1)
    (tmp_path / "a/loop").symlink_to(tmp_path)
    found = scan_frame_folders(str(tmp_path), FrameFolders("mmaction2").names)
    assert [*found.files] == ["a/v"]
    assert found.unreadable == {"a/loop/": "links to a folder above it"}
