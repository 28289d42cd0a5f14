"""The command `python -m tsn.predict`."""

import json

import av
import cv2
import pytest

from tsn.predict.__main__ import main

pytestmark = pytest.mark.usefixtures("on_cpu")
QUICK = ["--modalities", "rgb", "--segments", "2", "--crops", "1", "-j", "1"]


@pytest.fixture
def command(run):
    """A function: run the command on the videos with RGB alone; return its exit status."""

    def call(*arguments, videos=None) -> int:
        named = [str(video) for video in (run.videos if videos is None else videos)]
        return main([*named, "-e", str(run.split), *QUICK, *map(str, arguments)])

    return call


def test_videos_are_answered_for_people_and_for_programs(command, run, tmp_path, capsys):
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


def test_pictures_and_videos_show_the_answer(command, run, tmp_path):
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
        (["--split", "3"], "--split 3: "),
    ],
)
def test_a_mistake_is_one_sentence(command, capsys, arguments, sentence):
    assert command(*arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {sentence}") and "Traceback" not in error


def test_a_video_that_is_not_there_is_named(command, capsys):
    assert command(videos=["nowhere.mp4"]) == 1
    assert "error: 'nowhere.mp4': there is no such file" in capsys.readouterr().err
