"""Official lists and folders of classes: who is in which split, and which lists are refused."""

from collections import Counter
from pathlib import Path

import pytest

from tsn.config.datasets import DatasetConfig, FolderDataset, OfficialDataset
from tsn.datasets import layouts
from tsn.datasets.group_split import assign_folds
from tsn.datasets.records import Video
from tsn.datasets.scan import Scan
from tsn.runtime.errors import UserError

REAL = Path(__file__).parents[3] / "shared" / "data"


def ucf(tmp_path, files: dict[str, str] | None = None, **keys) -> DatasetConfig:
    """A data set with lists of its own in UCF101's form."""
    lists = {
        "classInd.txt": "2 Run\r\n1 Jump\r\n",
        "trainlist01.txt": "Jump/v_a.avi 1\r\nRun/v b.avi 2\r\n",
        "testlist01.txt": "Run/v_c.avi\r\n\r\n",
    }
    for name, text in {**lists, **(files or {})}.items():
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    keys = {"check_counts": False, **keys}
    return OfficialDataset("own", "ucf101", "videos", str(tmp_path), **keys)


def hmdb(tmp_path, files: dict[str, str], **keys) -> DatasetConfig:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    keys = {"check_counts": False, **keys}
    return OfficialDataset("own", "hmdb51", "videos", str(tmp_path), **keys)


def refusal(dataset: DatasetConfig) -> str:
    with pytest.raises(UserError) as caught:
        layouts.official(dataset)
    return str(caught.value)


def test_ucf101_lists_with_dos_line_ends_and_labels_from_class_numbers(tmp_path):
    classes, videos = layouts.official(ucf(tmp_path))
    assert classes == ("Jump", "Run")
    assert videos == [
        Video("Jump/v_a", "Jump/v_a.avi", "Jump", splits={1: "train"}, group="Jump/v_a"),
        Video("Run/v b", "Run/v b.avi", "Run", splits={1: "train"}, group="Run/v b"),
        Video("Run/v_c", "Run/v_c.avi", "Run", splits={1: "test"}, group="Run/v_c"),
    ]


def test_class_ten_comes_after_class_nine(tmp_path):
    text = "".join(f"{n} c{n}\n" for n in range(11, 0, -1))
    empty = {"classInd.txt": text, "trainlist01.txt": "c1/a.avi 1\n", "testlist01.txt": ""}
    assert layouts.official(ucf(tmp_path, empty))[0] == tuple(f"c{n}" for n in range(1, 12))


def test_hmdb51_flags_are_train_test_and_unused(tmp_path):
    """As the official lists say: `<name> 1|2|0` = train, test, unused; any names."""
    dataset = hmdb(
        tmp_path,
        {
            "a_b_test_split1.txt": "x y !(1)'&@#.avi 1 \nq.avi 2 \nr.avi 0 \n",
            "a_b_test_split2.txt": "x y !(1)'&@#.avi 2 \nq.avi 0 \nr.avi 0 \n",
        },
        splits=(1, 2),
    )
    classes, videos = layouts.official(dataset)
    assert classes == ("a_b",)
    assert {video.path: video.splits for video in videos} == {
        "a_b/x y !(1)'&@#.avi": {1: "train", 2: "test"},
        "a_b/q.avi": {1: "test"},
        "a_b/r.avi": {},
    }


@pytest.mark.parametrize("name", ["v\x85.avi", "v\u2028.avi", "v\x0c.avi", "\udcff.avi", "🎬.avi"])
def test_names_with_characters_that_look_like_line_ends(tmp_path, name):
    dataset = ucf(tmp_path, {"testlist01.txt": f"Run/{name}\n"})
    assert f"Run/{name}" in [video.path for video in layouts.official(dataset)[1]]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path):
    dataset = ucf(tmp_path, {"testlist01.txt": "\ufeffRun/v_c.avi\n"})
    assert "Run/v_c" in [video.id for video in layouts.official(dataset)[1]]


@pytest.mark.parametrize(
    "path", ["../v.avi", "Run/../v.avi", "/etc/passwd", "Run/a/v.avi", "v.avi", "Run/..", "Run/\0"]
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, path):
    sentence = refusal(ucf(tmp_path, {"testlist01.txt": f"{path}\n"}))
    assert "testlist01.txt" in sentence and "class/video" in sentence


def test_a_name_that_leads_elsewhere_is_refused_in_hmdb51(tmp_path):
    assert "class/video" in refusal(hmdb(tmp_path, {"a_test_split1.txt": "../../v.avi 1\n"}))


@pytest.mark.parametrize("separator", [" ", "  ", "\t", ", "])
def test_labels_may_follow_in_any_list_after_any_separator(tmp_path, separator):
    lists = {
        "trainlist01.txt": f"Jump/v_a.avi{separator}1\nRun/v b.avi{separator}2\n",
        "testlist01.txt": f"Run/v_c.avi{separator}2\n",
    }
    assert layouts.official(ucf(tmp_path, lists)) == layouts.official(ucf(tmp_path))


@pytest.mark.parametrize("separator", [" ", "  ", "\t"])
def test_separators_of_flags(tmp_path, separator):
    lists = {"a_test_split1.txt": f"x y.avi{separator}1\nq.avi{separator}2{separator}\n"}
    videos = layouts.official(hmdb(tmp_path, lists))[1]
    assert {video.path: video.splits[1] for video in videos} == {
        "a/x y.avi": "train",
        "a/q.avi": "test",
    }


def test_side_files_are_no_lists(tmp_path):
    """macOS leaves them beside every file on other disks; Drive makes copies."""
    lists = {
        "a_test_split1.txt": "x.avi 1\n",
        "._a_test_split1.txt": "\0\5\x16\7",
        "Copy of a_test_split1.txt": "x.avi 2\n",
    }
    assert [video.id for video in layouts.official(hmdb(tmp_path, lists))[1]] == ["a/x"]


def test_a_video_on_both_sides_of_a_split_is_refused(tmp_path):
    sentence = refusal(ucf(tmp_path, {"testlist01.txt": "Jump/v_a.avi\n"}))
    assert "'Jump/v_a.avi'" in sentence and "split 1" in sentence


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("classInd.txt", "1 Jump\n1 Fly\n", ["classInd.txt", "'1 Jump' and '1 Fly'"]),
        ("testlist01.txt", "Fly/v.avi\n", ["testlist01.txt", "'Fly/v.avi'", "classInd.txt"]),
    ],
)
def test_a_malformed_list_is_named(tmp_path, file, text, words):
    sentence = refusal(ucf(tmp_path, {file: text}))
    assert sentence.startswith("datasets.own.lists: ")
    assert all(word in sentence for word in words)


def test_a_flag_that_is_none_is_named(tmp_path):
    assert "'x.avi 3'" in refusal(hmdb(tmp_path, {"a_test_split1.txt": "x.avi 3\n"}))


def test_an_absent_list_is_named(tmp_path):
    dataset = ucf(tmp_path)
    (tmp_path / "trainlist01.txt").unlink()
    assert "trainlist01.txt" in refusal(dataset)
    assert "datasets.own.lists" in refusal(OfficialDataset("own", "ucf101", "videos", "nowhere"))


@pytest.mark.parametrize("layout", ["ucf101", "hmdb51"])
def test_wrong_official_counts_are_told_in_one_sentence(tmp_path, layout):
    """9537 and 3783 videos (UCF101), 3570 and 1530 (HMDB51), split 1: the official lists."""
    if layout == "ucf101":
        dataset, official = ucf(tmp_path, check_counts=True), ("9537", "3783", "2 train and 1 test")
    else:
        files = {"a_test_split1.txt": "x.avi 1\ny.avi 2\n"}
        dataset = hmdb(tmp_path, files, check_counts=True)
        official = ("3570", "1530", "1 train and 1 test")
    sentence = refusal(dataset)
    assert "\n" not in sentence
    for word in (*official, "datasets.own.lists", "check_counts: false"):
        assert word in sentence


@pytest.mark.parametrize(
    ("layout", "lists", "counts"),
    [
        ("ucf101", "ucf101-mini/ucfTrainTestlist", [(9537, 3783), (9586, 3734), (9624, 3696)]),
        ("hmdb51", "hmdb51-mini/testTrainMulti_7030_splits", [(3570, 1530)] * 3),
    ],
)
def test_the_real_official_lists(layout, lists, counts):
    if not (REAL / lists).is_dir():
        pytest.skip("no official lists on this machine")
    dataset = OfficialDataset(layout, layout, "videos", str(REAL / lists), splits=(1, 2, 3))
    classes, videos = layouts.official(dataset)
    assert len(classes) == {"ucf101": 101, "hmdb51": 51}[layout]
    for split, (train, test) in enumerate(counts, start=1):
        parts = Counter(video.splits.get(split) for video in videos)
        assert (parts["train"], parts["test"]) == (train, test)


def test_restriction_to_classes_keeps_label_order(tmp_path):
    classes, videos = layouts.official(ucf(tmp_path, classes=("Run",)))
    assert classes == ("Run",)
    assert {video.class_name for video in videos} == {"Run"}


def test_a_class_that_is_not_there_is_answered_with_similar_ones(tmp_path):
    sentence = refusal(ucf(tmp_path, classes=("Jumps",)))
    assert "datasets.own.classes" in sentence and "'Jumps'" in sentence and "Jump?" in sentence


def test_groups_of_the_official_data_sets(tmp_path):
    """Names as in the official lists."""
    lists = {"classInd.txt": "1 Archery", "trainlist01.txt": "Archery/v_Archery_g07_c02.avi 1"}
    (video,) = layouts.official(ucf(tmp_path, {**lists, "testlist01.txt": ""}))[1]
    assert video.group == "g07"
    dataset = hmdb(tmp_path, {"wave_test_split1.txt": "A_Film!_wave_u_cm_np1_fr_med_12.avi 1"})
    (video,) = layouts.official(dataset)[1]
    assert video.group == "A_Film!_wave"


def on_disk(*paths: str) -> Scan:
    folders = sorted({path.split("/")[0] for path in paths})
    return Scan(dict.fromkeys(paths, "1 2"), folders)


def parts_of(dataset: DatasetConfig, files: Scan, split: int = 1) -> dict[str, str]:
    return {video.id: video.splits[split] for video in layouts.folder(dataset, files)[1]}


@pytest.mark.parametrize(
    ("ratio", "videos", "tests"),
    [(0.3, 10, 3), (0.3, 2, 1), (0.3, 1, 0), (0.05, 10, 1), (0.9, 2, 1), (0.99, 10, 9)],
)
def test_the_ratio_holds_in_every_class_and_leaves_both_sides_a_video(ratio, videos, tests):
    dataset = FolderDataset("own", "videos", test_ratio=ratio)
    paths = [f"{name}/{n}.avi" for name in ("a", "b") for n in range(videos)]
    parts = parts_of(dataset, on_disk(*paths))
    for name in ("a", "b"):
        side = [part for video, part in parts.items() if video.startswith(name)]
        assert side.count("test") == tests


def test_the_split_follows_from_the_seed_and_its_number():
    names = [f"a/{n}.avi" for n in range(40)]
    paths = on_disk(*names)
    first = parts_of(FolderDataset("own", "videos"), paths)
    assert parts_of(FolderDataset("own", "videos"), on_disk(*names[::-1])) == first
    assert parts_of(FolderDataset("own", "videos", split_seed=2), paths) != first
    assert parts_of(FolderDataset("own", "videos", splits=(1, 2)), paths, split=2) != first


@pytest.mark.parametrize("pattern", [r"_(g\d+)_", r"g\d+"])
def test_groups_never_straddle_train_and_test(pattern):
    videos = [f"{c}/v_g{g}_c{n}.avi" for c in "ab" for g in range(10, 18) for n in range(1 + g % 4)]
    dataset = FolderDataset("own", "videos", group_pattern=pattern)
    parts = parts_of(dataset, on_disk(*videos))
    sides: dict[str, set[str]] = {}
    for video, part in parts.items():
        sides.setdefault(video.split("_")[1], set()).add(part)
    assert all(len(side) == 1 for side in sides.values())
    share = Counter(parts.values())["test"] / len(parts)
    assert 0.15 < share < 0.45  # test_ratio is 0.3, as far as whole groups allow


@pytest.mark.parametrize("pattern", [r"_(g\d+)_", r"(?:_(g\d+)_)?"])
def test_a_pattern_that_does_not_match_names_the_video(pattern):
    with pytest.raises(UserError, match=r"datasets\.own\.group_pattern.*'a/v_1'"):
        parts_of(FolderDataset("own", "videos", group_pattern=pattern), on_disk("a/v_1.avi"))


@pytest.mark.parametrize("more", [{"splits": (1, 2, 3), "folds": 3}, {"splits": (2,)}])
def test_folders_of_parts_are_one_split(more):
    dataset = FolderDataset("own", "videos", **more)
    with pytest.raises(UserError, match=r"own\.splits: folders or lists name the parts of split 1"):
        parts_of(dataset, on_disk("train/a/1.avi", "test/a/2.avi"))


def test_folds_are_disjoint_cover_everything_and_keep_groups_together():
    paths = [f"{c}/v_g{g}_c{n}.avi" for c in "ab" for g in range(20) for n in range(1 + g % 3)]
    keys = {"group_pattern": r"g\d+", "splits": (1, 2, 3, 4, 5), "folds": 5}
    _, videos = layouts.folder(FolderDataset("own", "videos", **keys), on_disk(*paths))
    fold_of: dict[str, set[int]] = {}
    for video in videos:
        tested = [n for n, part in video.splits.items() if part == "test"]
        assert len(tested) == 1 and len(video.splits) == 5
        fold_of.setdefault(video.group, set()).update(tested)
    assert all(len(folds) == 1 for folds in fold_of.values())
    for name in "ab":
        sizes = Counter(fold for v in videos if v.class_name == name for fold in fold_of[v.group])
        assert max(sizes.values()) - min(sizes.values()) <= 2  # of 39 videos, in 20 groups


def test_a_rare_class_is_in_every_fold():
    videos = [(f"v{n}", "rare" if n < 5 else "common", f"v{n}") for n in range(50)]
    folds = assign_folds(videos, 5, "1")
    assert sorted(folds[f"v{n}"] for n in range(5)) == [1, 2, 3, 4, 5]
    assert set(Counter(folds.values()).values()) == {10}
    assert folds == assign_folds(videos[::-1], 5, "1") != assign_folds(videos, 5, "2")


def test_an_empty_folder_is_named():
    with pytest.raises(UserError, match=r"datasets\.own\.videos.*'here'"):
        layouts.folder(FolderDataset("own", "here"), Scan())


def test_ids_are_unique_where_names_differ_only_by_their_ending():
    files = on_disk("a/x.avi", "a/x.mp4", "a/x.avi.mp4", "a/y.avi")
    ids = [video.id for video in layouts.folder(FolderDataset("own", "videos"), files)[1]]
    assert ids == ["a/x.avi", "a/x.mp4", "a/x.avi.mp4", "a/y"]


def test_lists_that_may_not_be_read_are_one_sentence(tmp_path, monkeypatch):
    dataset = ucf(tmp_path)

    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr("os.scandir", refuse)
    assert "lists: " in refusal(dataset) and "(Permission denied)" in refusal(dataset)
