"""The command `python -m tsn.predict`."""

import io
import json
import os
import re
import shutil
import sys
import threading
from pathlib import Path

import av
import cv2
import pytest

from tsn.predict.__main__ import main
from tsn.predict.ensemble import Ensemble

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]
QUICK = ["--modalities", "rgb", "--crops", "1", "-j", "1"]


@pytest.fixture
def command(run):
    """A function: run the command on the videos with RGB alone; return its exit status."""

    def call(*arguments, videos=None, segments=True) -> int:
        named = [str(video) for video in (run.videos if videos is None else videos)]
        quick = [*QUICK, *(["--segments", "2"] if segments else [])]
        return main([*named, "-e", str(run.split), *quick, *map(str, arguments)])

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

    def predict(self, path, _):
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
        (["-e", ""], "--experiment : there is no such folder"),
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


def test_a_timeline_is_written_in_all_forms(command, run, tmp_path):
    folder, video = tmp_path / "found", tmp_path / "shown.mp4"
    arguments = ["--timeline", folder, "--stride", "0.1", "--shortest", "0.01", "--window", "0.2"]
    assert command(*arguments, "--video", video, segments=False, videos=run.videos[:1]) == 0
    assert {path.name for path in folder.iterdir()} == {
        "detections.json", *(f"0.{ending}" for ending in ("csv", "srt", "vtt", "png"))
    }  # fmt: skip
    (found,) = json.loads((folder / "detections.json").read_text())["results"].values()
    # One of two classes has half of the probability at any time.
    assert found and min(event["segment"][0] for event in found) == 0
    assert max(event["segment"][1] for event in found) == pytest.approx(0.64)
    with av.open(str(video)) as file:
        assert file.streams.video[0].height > 256


def test_a_timeline_without_segments_is_told(command, run, tmp_path, capsys):
    arguments = ["--timeline", tmp_path / "found", "--modalities", "rgb", "--threshold", "1"]
    assert command(*arguments, segments=False, videos=run.videos[:1]) == 0
    assert "no segment of 1 s (--shortest) in which a class reaches 1" in capsys.readouterr().out


def test_a_stream_that_breaks_off_is_waited_for(run, tmp_path, capsys, monkeypatch):
    """A pipe that ends and is opened again; after the second time the user has enough."""
    pipe, stream = tmp_path / "pipe", tmp_path / "a.ts"
    os.mkfifo(pipe)
    with av.open(str(run.videos[0])) as source, av.open(str(stream), "w") as out:
        copy = out.add_stream("mpeg4", rate=25)
        copy.width, copy.height, copy.pix_fmt = 64, 48, "yuv420p"
        for frame in source.decode(video=0):
            out.mux(copy.encode(frame.reformat(64, 48, "yuv420p")))
        out.mux(copy.encode())
    pauses = []

    def send() -> None:
        threading.Thread(target=pipe.write_bytes, args=(stream.read_bytes(),)).start()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt
        send()

    monkeypatch.setattr("tsn.predict.live.time.sleep", pause)
    send()
    arguments = ["--camera", str(pipe), "-e", str(run.split), "--modalities", "rgb", "-j", "1"]
    assert main(arguments) == 130
    shown = capsys.readouterr()
    assert len(shown.out.splitlines()) >= 2
    assert re.match(r"\d\d:\d\d:\d\d  [ab] \d+ %  [ab] \d+ %  \(latency \d+\.\d\d s\)", shown.out)
    assert shown.err.count("trying again in 1 s") == 2 and pauses == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--camera", "0", "a.mp4"], "name videos, or a --camera"),
        ([], "name videos, or a --camera"),
        (["a.mp4", "--threshold", "0.5"], "--threshold is about segments of a --timeline"),
        (["--camera", "0", "--strip", "a/"], "--strip is about videos"),
        (["a.mp4", "--stride", "1", "--segments", "3"], "--segments is not for a --stride"),
        (["a.mp4", "--timeline", "x", "--lowest", "2"], "'2' is not a number above 0, at most 1"),
    ],
)
def test_options_that_contradict_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit):
        main([*arguments, "-e", "tsn"])
    assert words in capsys.readouterr().err
