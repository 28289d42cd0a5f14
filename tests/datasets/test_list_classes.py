"""Classes of lists: by names and numbers, in their order, and several of a video."""

import json

import pytest

from tests.datasets.conftest import GOOD
from tsn.datasets.build_index import report, write_index
from tsn.datasets.index import class_names, read_index
from tsn.datasets.listing import Listing


def test_digits_that_are_no_numbers_are_names(listing_of):
    assert listing_of("a.mp4 ²\nb.mp4 ²\nc.mp4 ³\n").classes == ("²", "³")


def test_a_class_that_the_list_of_classes_lacks_is_named(listing_of, tmp_path):
    (tmp_path / "classes.txt").write_text("Jump\nRun\n")
    listing = listing_of(GOOD + "e.mp4,Fly,train\n", class_list="classes.txt")
    (problem,) = listing.invalid
    assert problem == "list.csv:6: column label: there is no class 'Fly' in class_list"


def test_numbers_are_classes_in_their_order(listing_of):
    listing = listing_of("a.mp4 10\nb.mp4 9\nc.mp4 10\nd.mp4 9\n")
    assert listing.classes == ("9", "10")


def test_a_label_of_any_number_of_digits_is_one(listing_of):
    long = "9" * 5000
    text = f"a.mp4 10\nb.mp4 9\nc.mp4 {long}\nd.mp4 9\ne.mp4 {long}\n"
    assert listing_of(text).classes == ("9", "10", long)


@pytest.mark.parametrize(
    ("classes", "labels"),
    [
        ("1 Jump\n2 Run\n", "01"),
        ("Jump\nRun\n", "12"),
        ("1 Jump\n2 Run\n", "12"),
        ("0 Jump\n01 Run\n", ("0.0", "1.0")),
    ],
)
def test_numbers_that_count_from_0_or_1_are_the_same_classes(listing_of, tmp_path, classes, labels):
    (tmp_path / "classes.txt").write_text(classes, encoding="utf-8")
    first, second = labels
    text = f"a.mp4 {first}\nb.mp4 {second}\nc.mp4 {first}\nd.mp4 {second}\n"
    listing = listing_of(text, class_list="classes.txt")
    assert [video.class_name for video in listing.videos] == ["Jump", "Run", "Jump", "Run"]


SEVERAL = {"a": ("Jump", "Run"), "b": ("Run",), "c": ("Jump",), "d": ("Run", "Sit")}


def classes_of(listing: Listing) -> dict[str, tuple[str, ...]]:
    return {video.id: video.classes for video in listing.videos}


def test_a_label_may_name_several_classes(listing_of):
    """In the order of the classes, whatever that of the label; in a table and in JSON."""
    table = "path,label,split\na,Run | Jump,train\nb,Run,train\nc,Jump|,test\nd,Sit|Run,test\n"
    listing = listing_of(table)
    assert listing.classes == ("Jump", "Run", "Sit") and classes_of(listing) == SEVERAL
    rows = [("a", ["Run", "Jump"]), ("b", "Run"), ("c", ["Jump"]), ("d", ["Sit", "Run"])]
    entries = [
        {"path": name, "label": label, "split": "train" if name in "ab" else "test"}
        for name, label in rows
    ]
    assert classes_of(listing_of(json.dumps(entries))) == SEVERAL


def test_rows_of_one_video_add_their_classes_where_that_is_wanted(listing_of):
    table = (
        "path,label,split\na,Run,train\na,Jump,train\na,Jump,train\nb,Run,train\n"
        "c,Jump,test\nd,Sit,test\nd,Run,test\n"
    )
    listing = listing_of(table, multi_label=True)
    assert classes_of(listing) == SEVERAL and not listing.invalid
    (problem, _, _) = listing_of(table).invalid
    assert "'a' is of class 'Jump' here and of 'Run' in list.csv:2" in problem
    assert "set multi_label: true" in problem
    (problem,) = listing_of(table + "a,Sit,test\n", multi_label=True).invalid
    assert "'a' is a train video already" in problem


def test_a_bar_in_the_name_of_a_known_class_is_part_of_it(listing_of, tmp_path):
    (tmp_path / "names.txt").write_text("Jump|Run\nSit\nRun\n")
    table = "path,label,split\na,Jump|Run,train\nb,Sit|Run,train\nc,Run,test\nd,Sit|Jump,test\n"
    listing = listing_of(table, class_list="names.txt")
    assert classes_of(listing) == {"a": ("Jump|Run",), "b": ("Sit", "Run"), "c": ("Run",)}
    (problem,) = listing.invalid
    assert "list.csv:5: column label: there is no class 'Jump' in class_list" in problem


def test_classes_that_are_not_wanted_are_left_out(listing_of):
    table = "path,label,split\na,Run|Jump,train\nb,Run,train\nc,Jump,test\nd,Sit|Run,test\n"
    listing = listing_of(table, classes=["Run", "Sit"])
    assert classes_of(listing) == {"a": ("Run",), "b": ("Run",), "d": ("Run", "Sit")}


def test_every_class_is_split_although_no_two_videos_have_the_same_ones(listing_of):
    table = "path,label\na,1|2\nb,1|3\nc,2|3\nd,1|2|3\ne,1\nf,2\n"
    listing = listing_of(table, test_ratio=0.5)
    for part in ("train", "test"):
        chosen = [video for video in listing.videos if video.splits[1] == part]
        assert {name for video in chosen for name in video.classes} == {"1", "2", "3"}


def test_several_classes_survive_the_index(listing_of, tmp_path):
    table = "path,label,split\na,Run|Jump,train\nb,Run,train\nc,Jump,test\nd,Sit|Run,test\n"
    listing = listing_of(table)
    write_index(tmp_path / "index.tsv", listing, 2, (1,))
    index = read_index(tmp_path / "index.tsv")
    assert {video.id: video.classes for video in index} == SEVERAL
    assert [video.labels for video in index] == [(0, 1), (1,), (0,), (1, 2)]
    assert class_names(index) == ["Jump", "Run", "Sit"]
    lines = report(listing, (1,), excluded=False).splitlines()
    assert "2 videos have several classes" in lines
    assert [line.split() for line in lines[-3:]] == [
        ["'Jump'", "1", "1"], ["'Run'", "2", "1"], ["'Sit'", "0", "1"]
    ]  # fmt: skip
