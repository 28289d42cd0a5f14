"""Lists of one's own: what is found on disk, and every kind of row that cannot be used."""

import re

import pytest

from tests.datasets.conftest import GOOD
from tsn.config.checks import checked_dataset
from tsn.datasets.annotations import read_annotations
from tsn.datasets.build_index import plan_listing, write_index
from tsn.datasets.index import read_index
from tsn.datasets.listing import leaks
from tsn.datasets.plain_list import split_line
from tsn.runtime.errors import UserError
from tsn.video.span import Span


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("e.mp4,,train", "list.csv:6: column label: there is none"),
        (",Jump,train", "list.csv:6: column path: there is none"),
        ("../e.mp4,Jump,train", "list.csv:6: column path: '../e.mp4' leaves the video folder"),
        ("/etc/passwd,Jump,train", "column path: '/etc/passwd' leaves the video folder"),
        ("e.mp4,Jump,both", "list.csv:6: column split: 'both' is not train, val or test"),
        ("a.mp4,Jump,train", "list.csv:6: 'a' is there already, in list.csv:2"),
        ("a.mp4,Jump,test", "list.csv:6: 'a' is a train video already, in list.csv:2"),
        ("a.mp4,Run,train", "'a' is of class 'Run' here and of 'Jump' in list.csv:2"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_and_stops_no_other(listing_of, row, sentence):
    listing = listing_of(GOOD + row + "\nf.mp4,Jump,train\n")
    assert [video.id for video in listing.videos] == list("abcdf")
    (problem,) = listing.invalid
    assert sentence in problem
    with pytest.raises(UserError, match="1 rows are invalid") as caught:
        listing_of(GOOD + row + "\n", "refuse")
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        ("3", "2", "column end: 2 is not after the start, 3"),
        ("2", "2", "column end: 2 is not after the start, 2"),
        ("noon", "2", "column start: 'noon' is no time; write seconds as 12.5 or 0:00:12.5"),
        ("-1", "2", "column start: '-1' is no time"),
    ],
)
def test_times_that_are_none_are_named(listing_of, start, end, sentence):
    head = "path,label,split,start,end\na.mp4,Jump,train,,\nb.mp4,Jump,test,,\n"
    (problem,) = listing_of(f"{head}c.mp4,Jump,train,{start},{end}\n").invalid
    assert problem.startswith("list.csv:4: ") and sentence in problem


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: text.replace("a.mp4,Jump", '"a.mp4","Jump"').encode(),
        lambda text: f"\n{text}\n\n".encode(),
    ],
)
def test_tables_as_spreadsheets_write_them(listing_of, encode):
    expected = listing_of(GOOD)
    assert listing_of(encode(GOOD)).videos == expected.videos
    assert expected.classes == ("Jump", "Run")


def test_the_separator_that_excel_names_above_the_header_is_no_row(listing_of):
    listing = listing_of("sep=;\n" + GOOD.replace(",", ";"))
    assert (listing.classes, listing.invalid) == (("Jump", "Run"), ())


def test_columns_that_the_header_lacks_are_named(listing_of):
    with pytest.raises(UserError, match=r"no column 'clip' \(there are: path, label, split\)"):
        listing_of(GOOD, columns={"path": "clip"})


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ('e.mp4,"Jump,train\nf.mp4,Jump,train\n', "'Jump,train.*has a line break; close its quote"),
        ('"e.mp4,Jump,train\nf.mp4,Jump,train\n', "column label: there is none"),
    ],
)
def test_a_quote_that_is_not_closed_is_an_invalid_row(listing_of, end, sentence):
    (problem,) = listing_of(GOOD + end).invalid
    assert re.search(sentence, problem)


def test_a_field_without_end_is_one_sentence(listing_of):
    with pytest.raises(UserError, match=r"list\.csv:\d+: field larger .* quote"):
        listing_of(GOOD + '"' + "x,y\n" * 50000)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("label,youtube_id,time_start,time_end\nJump,a,0,1\nx,b,0\n", "no value for 'time_end'"),
        ("length,id,actions\n1,a,x 0 1\n1\n", "no value for 'actions'"),
        ('[{"path": "a", "label": "Jump"}, {"template": "x"}]', "no value for 'id'"),
        (
            '{"database": {"b": null, "a": {"annotations": [{"segment": [0, 1], "label": "x"}]}}}',
            "list.csv:b: cannot be read",
        ),
        (
            "path,label,start_frame,end_frame\na,x,0,1\nb,x,0," + "9" * 400 + "\n",
            "list.csv:3: cannot be read",
        ),
    ],
)
def test_a_cut_or_senseless_entry_stops_no_other(tmp_path, text, sentence):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    rows, (problem,) = read_annotations(tmp_path / "list.csv", {})
    assert [row.label for row in rows] in (["x"], ["Jump"])
    assert sentence in problem


def test_a_column_that_is_not_there_is_named(listing_of):
    with pytest.raises(UserError, match=r"list\.csv: has no column 'what' \(there are: path, l"):
        listing_of(GOOD, columns={"label": "what"})
    with pytest.raises(UserError, match=r"has no column 'label' \(there are: path, activity\)"):
        listing_of("path,activity\na.mp4,Jump\n")


def test_a_name_without_a_folder_is_found_in_any(listing_of, tmp_path):
    (tmp_path / "videos" / "deep" / "er").mkdir(parents=True)
    (tmp_path / "videos" / "a.mp4").rename(tmp_path / "videos" / "deep" / "er" / "a.mkv")
    listing = listing_of(GOOD)
    (video,) = (video for video in listing.videos if video.id == "deep/er/a")
    assert video.path == "videos/deep/er/a.mkv" and not video.missing


def test_an_absolute_path_inside_the_folder_is_fine(listing_of, tmp_path):
    listing = listing_of(GOOD.replace("a.mp4", str(tmp_path / "videos" / "a.mp4")))
    assert [video.id for video in listing.videos] == list("abcd") and not listing.invalid


def test_clips_of_one_file_never_straddle_a_random_split(listing_of):
    rows = [f"{name}.mp4,c,{n},{n + 2}" for name in "abcdef" for n in range(5)]
    listing = listing_of("path,label,start,end\n" + "\n".join(rows) + "\n")
    assert len(listing.videos) == 30 and not leaks(listing.videos, (1,))


def test_a_group_on_both_sides_is_reported_by_name(listing_of):
    listing = listing_of(
        "path,label,split,start,end\na.mp4,c,train,0,2\na.mp4,c,test,2,4\nb.mp4,c,test,0,1\n"
    )
    assert leaks(listing.videos, (1,)) == ["split 1: a"]


def test_the_index_holds_clips(listing_of, tmp_path):

    listing = listing_of("path,label,start,end\na.mp4,c,0:00:01,2.5\nb.mp4,c,1,\n")
    write_index(tmp_path / "index.tsv", listing, 2, (1,))
    assert [v.span for v in read_index(tmp_path / "index.tsv")] == [v.span for v in listing.videos]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a b/c 1.avi 3", ("a b/c 1.avi", ["3"])),
        ("a/b.avi\t3", ("a/b.avi", ["3"])),
        ("a/b.avi  3", ("a/b.avi", ["3"])),
        ("a/b.avi,3", ("a/b.avi", ["3"])),
        ('"a/b, c.avi",3', ("a/b, c.avi", ["3"])),
        ("a/b, c.avi 3", ("a/b, c.avi", ["3"])),
        ("a/b.avi 120 Brush Hair", ("a/b.avi", ["120", "Brush Hair"])),
        ("some/folder 16 120 3", ("some/folder", ["16", "120", "3"])),
        ("some folder 120 3", ("some folder", ["120", "3"])),
        ("a/b.avi", ("a/b.avi", [])),
        ("a/b.MP4 3", ("a/b.MP4", ["3"])),
        ("a/v.avi.mp4 3", ("a/v.avi.mp4", ["3"])),
    ],
)
def test_lines_of_plain_lists(line, fields):
    assert split_line(line) == fields


PLAIN = "a.mp4 Jump\nb.mp4 Run\nc.mp4 Jump\nd.mp4 Run\n"


@pytest.mark.parametrize(
    "text",
    [
        f"# made by me, on monday\n{PLAIN}#\n",
        "# video list\n" + PLAIN.replace(" ", "\t"),
        f"path label\n{PLAIN}",
        "# path,label\n" + PLAIN.replace(" ", ","),
        "# mine\nclip,category\n# a comment, too, is none\n" + PLAIN.replace(" ", ","),
        '{"path": "a.mp4", "label": "Jump"}\n{"path": "b.mp4", "label": "Run"}\n\n'
        '{"video": "c.mp4", "label": "Jump"}\n{"path": "d.mp4", "label": "Run"}\n',
    ],
)
def test_comments_headers_and_json_lines(listing_of, text):
    listing = listing_of(text)
    assert [(v.id, v.class_name) for v in listing.videos] == [
        *(("a", "Jump"), ("b", "Run"), ("c", "Jump"), ("d", "Run"))
    ]
    assert not listing.invalid


@pytest.mark.parametrize(
    "text",
    [
        f"movie activity\n{PLAIN}",
        "movie,activity\na,0\nb,1\nc,0\nd,1\n",
        "clip,activity\n" + PLAIN.replace(" ", ",").replace(".mp4", ""),
    ],
)
def test_a_header_of_unknown_columns_is_no_video_and_is_told(tmp_path, text):
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    try:
        rows, (problem,) = read_annotations(tmp_path / "list.csv", {})
        assert [row.paths[0][0] for row in rows] == list("abcd")
    except UserError as error:
        problem = str(error)
    assert "activity" in problem and "with the key columns" in problem


def test_a_row_that_is_cut_and_a_commented_one_are_told(tmp_path):
    file = tmp_path / "list.jsonl"
    file.write_text('{"path": "a", "label": "Jump"}\n{"path": "b", "la\n', encoding="utf-8")
    assert "list.jsonl:2: cannot be read" in read_annotations(file, {})[1][0]
    file.write_text(f"#e.mp4 Run\n{PLAIN}", encoding="utf-8")
    rows, (problem,) = read_annotations(file, {})
    assert len(rows) == 4 and "list.jsonl:1: '#e.mp4 Run' is a comment" in problem


@pytest.mark.parametrize(
    ("on_disk", "listed"),
    [
        ("Jumpe\u0301/x.mp4", "Jump\u00e9/x.mp4"),  # macOS writes é as e and an accent
        ("Jump\u00e9/x.mp4", "Jumpe\u0301/x"),
        ("Jump\u00e9/x.mp4", "x"),
        ("Jump/x.mp4", "Jump\\x.mp4"),
    ],
)
def test_a_name_that_is_written_otherwise_is_found(listing_of, tmp_path, on_disk, listed):
    (tmp_path / "videos" / on_disk).parent.mkdir()
    (tmp_path / "videos" / on_disk).write_bytes(b"video")
    listing = listing_of(f"a.mp4,Jump\nb.mp4,Jump\n{listed},Jump\n")
    assert f"videos/{on_disk}" in [video.path for video in listing.videos if not video.missing]


def test_a_missing_video_names_a_file_that_is_called_alike(listing_of):
    listing = listing_of("a.mp4,Jump\nb.mp4,Jump\nC.mp4,Jump\n")
    assert listing.near == ("'C.mp4': there is 'c.mp4'",)


def test_a_bare_name_in_two_folders_is_told(listing_of, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / "videos" / folder).mkdir()
        (tmp_path / "videos" / folder / "x.mp4").write_bytes(b"video")
    (problem,) = listing_of("a.mp4,Jump\nb.mp4,Jump\nx.mp4,Jump\n").invalid
    assert "'x.mp4' is in several folders, as 'one/x.mp4' and 'two/x.mp4'" in problem


@pytest.mark.parametrize("key", ["annotations", "class_list"])
def test_a_list_that_is_not_there_is_one_sentence(listing_of, key):
    with pytest.raises(UserError, match=rf"own\.{key}: 'gone\.csv': cannot be read \(No such file"):
        listing_of(GOOD, **{key: "gone.csv"})


def test_a_split_without_a_list_is_one_sentence(listing_of):
    with pytest.raises(UserError, match=r"own\.annotations: there is no list for split 2"):
        listing_of(GOOD, annotations={1: "list.csv"}, splits=[1, 2])


def test_json_that_is_no_list_of_videos_is_one_sentence(listing_of):
    with pytest.raises(UserError, match=r"list\.csv: this JSON is no list of videos"):
        listing_of('{"a": 1}')
    with pytest.raises(UserError, match=r"list\.csv: is no JSON"):
        listing_of('{"a": ')


def test_a_data_set_without_videos_on_disk_shows_where_it_looked(listing_of, tmp_path):
    with pytest.raises(UserError, match=r"none of the 1 listed videos .* 'videos/x\.mp4'"):
        listing_of("path,label,split\nx.mp4,Jump,train\n")


def test_thumos_own_files_per_class(tmp_path, monkeypatch):
    """As in TH14_Temporal_annotations_validation.zip and TH14_Temporal_Annotations_Test.zip."""
    monkeypatch.chdir(tmp_path)
    for part, number in (("val", "validation_0000051"), ("test", "test_0000004")):
        (tmp_path / part).mkdir()
        (tmp_path / part / f"Ambiguous_{part}.txt").write_text(f"video_{number}  1.0 2.0\n")
        rows = f"video_{number}  67.5 75.9\nvideo_{number}  85.9 84.6\n"
        (tmp_path / part / f"Billiards_{part}.txt").write_text(rows)
        (tmp_path / f"video_{number}.mp4").touch()
    block = {"layout": "list", "videos": ".", "annotations": ["val", "test"]}
    listing = plan_listing(checked_dataset("own", block), tmp_path, "quarantine", "quarantine")
    assert [(v.id, v.class_name, v.splits) for v in listing.videos] == [
        ("video_test_0000004#67.5-75.9s", "Billiards", {1: "test"}),
        ("video_validation_0000051#67.5-75.9s", "Billiards", {1: "train"}),
    ]
    assert len(listing.invalid) == 2 and "84.6 is not after the start" in listing.invalid[0]


def test_epic_kitchens_by_the_numbers_of_its_frames(tmp_path):
    """frame_0000000008.jpg is the eighth, and a clip's own start is counted from 0."""
    file = tmp_path / "EPIC_100_train.csv"
    file.write_text(
        "narration_id,video_id,start_timestamp,stop_timestamp,start_frame,stop_frame,verb_class\n"
        "P01_01_0,P01_01,00:00:00.14,00:00:03.37,8,202,3\n"
    )
    ((row,), problems) = read_annotations(file, {"start_frame": "start_frame"})
    assert (row.span, problems) == (Span(7.0, 202.0, "frames"), [])


def test_a_table_with_one_end_of_its_clips_is_refused(listing_of):
    for head in ("path,label,from,stop", "path,label,start,until", "path,label,first,end_frame"):
        with pytest.raises(UserError, match=r"column for \w+ and none for \w+ \(there are: p"):
            listing_of(f"{head}\na.mp4,Jump,1,2\nb.mp4,Run,1,2\n")


@pytest.mark.parametrize("times", ["0.5,2", "0,100"])
def test_times_without_a_header_are_no_votes(listing_of, times):
    """Moments in Time has more votes for a label than against it."""
    (problem,) = listing_of(f"a.mp4,Jump\nb.mp4,Jump,3,1\nc.mp4,Run,{times}\n").invalid
    assert "wants a header, such as path,label,start,end" in problem


def test_a_spreadsheet_is_refused(tmp_path):
    (tmp_path / "list.xlsx").write_bytes(b"PK\x03\x04\0\0")
    with pytest.raises(UserError, match=r"list\.xlsx': is a spreadsheet; save it as CSV"):
        read_annotations(tmp_path / "list.xlsx", {})
