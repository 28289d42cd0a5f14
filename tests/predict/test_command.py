"""The command `python -m tsn.predict`."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import av
import cv2
import pytest

from tsn.predict.__main__ import main
from tsn.predict.ensemble import Ensemble

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]
QUICK = ["--modalities", "rgb", "--segments", "2", "--crops", "1", "-j", "1"]


@pytest.fixture
def command(run):
    """A function: run the command on the videos with RGB alone; return its exit status."""

    def call(*arguments, videos=None) -> int:
        named = [str(video) for video in (run.videos if videos is None else videos)]
        return main([*named, "-e", str(run.split), *QUICK, *map(str, arguments)])

    return call


def test_videos_are_classified_for_people_and_for_programs(command, run, tmp_path, capsys):
    assert command("--json", tmp_path / "a.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(run.videos[0]) and "%" in lines[1]
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["video"] for entry in found["videos"]] == [str(v) for v in run.videos]
    best, other = found["videos"][0]["top"]
    assert best["probability"] + other["probability"] == pytest.approx(1)
    assert best["score"] >= other["score"] and {best["class"], other["class"]} == {"a", "b"}
    assert found["test"] == {"segments": 2, "crops": 1} and found["weights"] == {"rgb": 1.0}


def test_a_broken_video_does_not_stop_the_others(command, run, tmp_path, capsys):
    bad = tmp_path / "bad.avi"
    bad.write_bytes(b"?" * 999)
    assert command("--json", tmp_path / "a.json", videos=[bad, run.videos[0]]) == 1
    found = json.loads((tmp_path / "a.json").read_text())
    assert len(found["videos"]) == 1 and found["failed"][0]["video"] == str(bad)
    assert "failed: Video" in capsys.readouterr().err


@pytest.mark.parametrize("crash", ["ctypes.string_at(0)", "os.abort()"])
def test_a_video_that_crashes_the_decoder_does_not_stop_the_others(
    command, run, tmp_path, capsys, monkeypatch, crash
):
    """The decoder program crashes on names with "bad" in them."""
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(run.videos[0].read_bytes())
    program = (
        "import ctypes, os, runpy\n"
        "import tsn.video.decode as decode\n"
        "real = decode.read_frames\n"
        f"decode.read_frames = lambda path, **k: {crash} if 'bad' in path else real(path, **k)\n"
        "runpy.run_module('tsn.video.decoder_process', run_name='__main__', alter_sys=True)\n"
    )
    monkeypatch.setattr("tsn.video.isolation._PROGRAM", ["-c", program])
    monkeypatch.setattr("tsn.video.isolation._idle", [])
    assert command("--json", tmp_path / "a.json", videos=[bad, run.videos[0]]) == 1
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["video"] for entry in found["videos"]] == [str(run.videos[0])]
    assert "crashes the decoder" in found["failed"][0]["error"]
    assert str(run.videos[0]) in capsys.readouterr().out


def test_the_json_is_whole_after_every_video(command, run, tmp_path, monkeypatch):
    """It is interrupted in the third of four videos; the second one is no video."""
    bad = tmp_path / "bad.avi"
    bad.write_bytes(b"?" * 999)
    real, calls = Ensemble.predict, []

    def predict(self, path):
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, path)

    monkeypatch.setattr(Ensemble, "predict", predict)
    json_file = tmp_path / "a.json"
    json_file.write_text("old " * 9999)
    link = tmp_path / "again.mp4"
    link.symlink_to(run.videos[0])
    assert command("--json", json_file, videos=[run.videos[0], bad, link, run.videos[1]]) == 130
    found = json.loads(json_file.read_text())
    assert [entry["video"] for entry in found["videos"]] == [str(run.videos[0])]
    assert [entry["video"] for entry in found["failed"]] == [str(bad)]


def test_videos_in_the_current_folder_and_alike_but_for_the_ending_are_classified(
    command, run, tmp_path, monkeypatch
):
    for name in ("here/clip.mp4", "here/clip.avi", "beside/clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(run.videos[0].read_bytes())
    monkeypatch.chdir(tmp_path / "here")
    strips = tmp_path / "strips"
    assert command("--json", tmp_path / "a.json", "--strip", f"{strips}/", videos=[".."]) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    names = [Path(entry["video"]).relative_to(tmp_path).as_posix() for entry in found["videos"]]
    assert names == ["beside/clip.mp4", "here/clip.avi", "here/clip.mp4"]
    drawn = sorted(path.relative_to(strips).as_posix() for path in strips.rglob("*.png"))
    assert drawn == ["beside/clip.png", "here/clip.avi.png", "here/clip.mp4.png"]


def test_names_that_cannot_be_printed_are_printed_escaped(command, run, tmp_path, monkeypatch):
    """A name that is not UTF-8, and one that the terminal's character set lacks."""
    names = [b"\xff\xfe.mp4", "Пример.mp4".encode()]
    videos = [str(tmp_path / os.fsdecode(name)) for name in names]
    for video in videos:
        shutil.copy(run.videos[0], video)
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="ascii"))
    assert command("--json", tmp_path / "a.json", videos=videos) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["video"] for entry in found["videos"]] == videos
    sys.stdout.flush()
    assert rb"\udcff\udcfe.mp4" in printed.getvalue()
    assert rb"\u041f\u0440" in printed.getvalue()


def test_a_figure_that_cannot_be_written_fails_for_its_video_alone(command, run, tmp_path, capsys):
    (tmp_path / "s" / "0.png" / "x").mkdir(parents=True)
    assert command("--strip", f"{tmp_path}/s/", "--json", tmp_path / "a.json") == 1
    found = json.loads((tmp_path / "a.json").read_text())
    assert [entry["video"] for entry in found["videos"]] == [str(run.videos[1])]
    assert "0.png" in found["failed"][0]["error"]
    assert "Traceback" not in capsys.readouterr().err


def test_a_video_is_never_overwritten(command, run, tmp_path, capsys):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(run.videos[0].read_bytes())
    (tmp_path / "link.mp4").symlink_to(clip)
    before = clip.read_bytes()
    for option in (
        ["--video", f"{tmp_path}/"],
        ["--video", tmp_path / "link.mp4"],
        ["--json", clip],
    ):
        assert command(*option, videos=[clip]) == 1
        assert "this output would overwrite a video; choose another" in capsys.readouterr().err
    assert clip.read_bytes() == before


def test_pictures_and_videos_show_the_prediction(command, run, tmp_path):
    strip, video = tmp_path / "s.png", tmp_path / "v.mp4"
    assert command("--strip", strip, "--video", video, videos=run.videos[:1]) == 0
    assert cv2.imread(str(strip)).std() > 5
    with av.open(str(video)) as shown, av.open(str(run.videos[0])) as original:
        frames = [frame.width for frame in shown.decode(video=0)]
        assert len(frames) == sum(1 for _ in original.decode(video=0))
        assert frames[0] > 256 * 4 / 3  # the panel alone; the frame stands beside it


def test_a_folder_takes_a_picture_of_every_video(command, tmp_path):
    assert command("--strip", f"{tmp_path}/all/") == 0
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--strip", "one.png"], "--strip one.png: this file can show one video"),
        (["--strip", "one.jpg"], "--strip one.jpg: name a file that ends in .png, or a folder"),
        (["--strip", ""], "--strip : name a file that ends in .png, or a folder"),
        (["--strip", __file__], f"--strip {__file__}: name a file that ends in .png, or a folder"),
        (["--video", "one.png"], "--video one.png: name a file that ends in .mp4, or a folder"),
        (["--json", "."], "--json .: this is a folder; name a file"),
        (["--json", ""], "--json : this is a folder; name a file"),
        (["--split", "3"], "--split 3: "),
        (["-e", ""], "."),
        (["-e", __file__], f"--experiment {__file__}: there is no such folder"),
        (["-e", "x", "--results", __file__], "--experiment x: there is no such folder"),
    ],
)
def test_a_mistake_is_one_sentence(command, capsys, arguments, sentence):
    assert command(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}") and "Traceback" not in error


@pytest.mark.parametrize("option", ["--segments", "--top", "--threads", "--split"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many", "1001", ""])
def test_numbers_that_are_never_right_are_refused(command, capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        command(f"{option}={value}")
    assert ended.value.code == 2
    assert f"{value!r} is not a whole number from 1 to 1000" in capsys.readouterr().err


def test_a_video_that_is_not_there_is_named(command, capsys):
    assert command(videos=["nowhere.mp4"]) == 1
    assert "error: 'nowhere.mp4': there is no such file" in capsys.readouterr().err
