"""What the command makes of the names it is given, before any video is opened."""

from pathlib import Path

import pytest

from tsn.datasets.records import Video
from tsn.flow.export.plan import choose_target, find_videos, plan_jobs
from tsn.runtime.errors import UserError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def plan(inputs, out, format=None, **options):
    target = choose_target(str(out), format)
    return plan_jobs(find_videos([str(path) for path in inputs], target), target, **options)


@pytest.mark.parametrize(
    ("out", "wanted", "format", "single"),
    [
        ("a.h5", None, "h5", True),
        ("a.MP4", None, "mp4", True),
        ("a.npy", "npy", "npy", True),
        ("a", None, "h5", False),
        ("a", "flo", "flo", False),
        ("a.b/", None, "h5", False),
        ("a.b", "png", "png", False),
        ("there.mp4", "npy", "npy", False),
    ],
)
def test_the_outputs_name_tells_format_and_kind(tmp_path, monkeypatch, out, wanted, format, single):
    monkeypatch.chdir(tmp_path)
    Path("there.mp4").mkdir()
    target = choose_target(out, wanted)
    assert (target.format, target.single) == (format, single)
    assert target.path == tmp_path / out


@pytest.mark.parametrize(
    ("out", "wanted"), [("a.avi", None), ("a.h5", "npy"), ("a.flo", None), ("file", None)]
)
def test_a_name_that_cannot_be_an_output_is_refused(tmp_path, monkeypatch, out, wanted):
    monkeypatch.chdir(tmp_path)
    touch(Path("file"))
    with pytest.raises(UserError, match=f"-o {out}: "):
        choose_target(out, wanted)


def test_a_folder_stands_for_the_videos_below_it_but_not_those_in_the_output(tmp_path):
    names = ("b/deep/2.avi", "b/1.MP4", "b/notes.txt", "b/.hidden.avi", "b/.old/3.avi", "out/4.mp4")
    touch(*(tmp_path / name for name in names))
    (tmp_path / "b" / "loop").symlink_to(tmp_path / "b")
    target = choose_target(str(tmp_path / "out"), "mp4")
    assert find_videos([str(tmp_path)], target) == [
        Video("b/1", str(tmp_path / "b" / "1.MP4"), "b"),
        Video("b/deep/2", str(tmp_path / "b" / "deep" / "2.avi"), "deep"),
    ]


def test_ids_are_relative_to_the_folder_that_all_inputs_share(tmp_path):
    touch(tmp_path / "x" / "a.v1.avi", tmp_path / "y" / "a", tmp_path / "y" / "z" / "b.mp4")
    target = choose_target(str(tmp_path / "out"), None)
    inputs = [tmp_path / "x" / "a.v1.avi", tmp_path / "y" / "a", tmp_path / "y" / "z"]
    # The same video twice is one video.
    found = find_videos([str(path) for path in [*inputs, inputs[0]]], target)
    assert [source.id for source in found] == ["x/a.v1", "y/a", "y/z/b"]


def test_outputs_are_called_like_the_videos(tmp_path):
    touch(tmp_path / "in" / "c" / "a.v1.avi")
    video, out = tmp_path / "in", tmp_path / "out"

    def outputs(to, format=None):
        ((job,), kept) = plan([video], to, format, warped=True)
        assert kept == 0
        return [path.relative_to(tmp_path).as_posix() for path in job.outputs.values()]

    assert outputs(out, "npy") == ["out/c/a.v1.npy", "out/c/a.v1.warped.npy"]
    assert outputs(out, "flo") == ["out/c/a.v1", "out/c/a.v1.warped"]
    assert outputs(out, "mp4") == ["out/c/a.v1.mp4"]
    assert outputs(out) == ["out/flow.h5", "out/flow.warped.h5"]
    assert outputs(tmp_path / "f.1.h5") == ["f.1.h5", "f.1.warped.h5"]
    assert outputs(tmp_path / "f.npy") == ["f.npy", "f.warped.npy"]


@pytest.mark.parametrize(
    ("out", "made"),
    [
        ("f.NPY", ["f.NPY", "f.warped.NPY"]),
        ("f.npy.npy", ["f.npy.npy", "f.npy.warped.npy"]),
        ("a.b.c.H5", ["a.b.c.H5", "a.b.c.warped.H5"]),
        ("f.Mp4", ["f.Mp4"]),
    ],
)
def test_a_named_file_is_written_under_exactly_that_name(tmp_path, out, made):
    touch(tmp_path / "in" / "a.avi")
    ((job,), _) = plan([tmp_path / "in"], tmp_path / out, warped=True)
    assert [path.name for path in job.outputs.values()] == made


@pytest.mark.parametrize(
    ("out", "words"), [("", "no name"), (".npy", "no name"), ("a.avi/x.npy", "a.avi' is a file")]
)
def test_what_names_no_output_is_refused(tmp_path, monkeypatch, out, words):
    monkeypatch.chdir(tmp_path)
    touch(Path("a.avi"))
    with pytest.raises(UserError, match=words):
        choose_target(out, None)


def test_the_current_folder_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(Path("a.avi"))
    ((job,), _) = plan(["a.avi"], ".", "npy")
    assert job.outputs == {"flow": tmp_path / "a.npy"}


def test_names_that_differ_in_case_are_one_where_the_disk_ignores_case(tmp_path, monkeypatch):
    touch(tmp_path / "in" / "a.avi", tmp_path / "in" / "A.avi")
    monkeypatch.setattr("tsn.flow.export.plan._ignores_case", lambda _: False)
    assert len(plan([tmp_path / "in"], tmp_path / "out", "npy")[0]) == 2
    monkeypatch.setattr("tsn.flow.export.plan._ignores_case", lambda _: True)
    with pytest.raises(UserError, match="would both be written"):
        plan([tmp_path / "in"], tmp_path / "out", "npy")


def test_videos_that_differ_in_their_ending_keep_it(tmp_path):
    touch(*(tmp_path / "in" / name for name in ("a.avi", "a.mp4", "a.mp4.avi", "b.avi")))
    jobs, _ = plan([tmp_path / "in"], tmp_path / "out", "npy")
    names = [job.outputs["flow"].name for job in jobs]
    assert names == ["a.avi.npy", "a.mp4.npy", "a.mp4.avi.npy", "b.npy"]


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (("a.avi", "a.warped.avi"), "npy"),
        (("a.avi", "a/b.avi"), "flo"),
    ],
)
def test_videos_with_the_same_output_are_refused(tmp_path, names, format):
    touch(*(tmp_path / "in" / name for name in names))
    with pytest.raises(UserError, match=r"a\.avi'.* would both be written as"):
        plan([tmp_path / "in"], tmp_path / "out", format, warped=True)


@pytest.mark.parametrize("force", [False, True])
def test_an_input_is_never_overwritten(tmp_path, force):
    touch(tmp_path / "in" / "a.mp4")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    (tmp_path / "hard.mp4").hardlink_to(tmp_path / "in" / "a.mp4")
    outputs = (tmp_path / "in", tmp_path / "link", tmp_path / "in" / "a.mp4", tmp_path / "hard.mp4")
    for out in outputs:
        with pytest.raises(UserError, match="would overwrite an input"):
            plan([tmp_path / "in" / "a.mp4"], out, "mp4", force=force)


def test_existing_outputs_in_a_folder_are_kept_and_only_missing_ones_made(tmp_path):
    touch(*(tmp_path / "in" / name for name in ("a.avi", "b.avi")))
    touch(*(tmp_path / "out" / name for name in ("a.npy", "a.warped.npy", "b.npy")))
    jobs, kept = plan([tmp_path / "in"], tmp_path / "out", "npy", warped=True)
    assert [job.outputs for job in jobs] == [{"warped_flow": tmp_path / "out" / "b.warped.npy"}]
    assert kept == 3
    jobs, kept = plan([tmp_path / "in"], tmp_path / "out", "npy", warped=True, force=True)
    assert [len(job.outputs) for job in jobs] == [2, 2]
    assert kept == 0


@pytest.mark.parametrize("name", ["out.h5", "out.npy", "out.png"])
def test_an_existing_file_that_was_named_is_an_error_without_force(tmp_path, name):
    touch(tmp_path / "a.avi", tmp_path / name)
    with pytest.raises(UserError, match="add --force"):
        plan([tmp_path / "a.avi"], tmp_path / name)
    plan([tmp_path / "a.avi"], tmp_path / name, force=True)


def test_force_does_not_remove_a_folder_with_other_things_in_it(tmp_path):
    touch(tmp_path / "a.avi", tmp_path / "out" / "a" / "000000.flo")
    plan([tmp_path / "a.avi"], tmp_path / "out", "flo", force=True)
    touch(tmp_path / "out" / "a" / "thesis.tex")
    with pytest.raises(UserError, match=r"thesis\.tex"):
        plan([tmp_path / "a.avi"], tmp_path / "out", "flo", force=True)


def test_inputs_that_are_not_there_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("none.avi", "empty"):
        with pytest.raises(UserError, match=name):
            plan([tmp_path / name], tmp_path / "out")


def test_a_file_for_one_video_is_refused_for_two(tmp_path):
    touch(tmp_path / "a.avi", tmp_path / "b.avi")
    with pytest.raises(UserError, match="one video, and there are 2"):
        plan([tmp_path / "a.avi", tmp_path / "b.avi"], tmp_path / "x.mp4")
