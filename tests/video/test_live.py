"""Streams without an end: frames as they come, and errors that say what broke off."""

import os
import subprocess
import sys
import threading

import pytest

from tsn.video import isolation
from tsn.video.errors import VideoError
from tsn.video.isolation import Limits, read_live


@pytest.fixture(autouse=True)
def _no_process_left():
    yield
    while isolation._idle:
        isolation._idle.pop().end()


def test_a_pipe_gives_its_frames_until_it_ends(write_video, images, tmp_path):
    data = write_video("a.ts", images, "mpeg4").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(data))
    writer.start()
    frames = list(read_live(str(pipe), (32, 24)))
    writer.join()
    assert len(frames) >= len(images) - 1 and frames[0].shape == (24, 32, 3)


def test_a_source_that_changes_its_size_keeps_that_of_its_frames(write_video, images, tmp_path):
    wide = write_video("a.ts", images, "mpeg2video").read_bytes()
    high = write_video("b.ts", images.swapaxes(1, 2), "mpeg2video").read_bytes()
    (tmp_path / "both.ts").write_bytes(wide + high)
    frames = list(read_live(str(tmp_path / "both.ts"), 24))
    assert len(frames) > len(images)
    assert {frame.shape for frame in frames} == {(24, 32, 3)}


def test_a_codec_that_is_not_known_is_told(write_video, images):
    path = write_video("a.avi", images)
    path.write_bytes(path.read_bytes().replace(b"FFV1", b"ZZZZ"))
    with pytest.raises(VideoError, match="has no video that FFmpeg knows"):
        next(read_live(str(path), (32, 24)))


def test_standard_input_is_a_source(write_video, images):
    path = write_video("a.mkv", images)
    program = (
        "from tsn.video.isolation import read_live\nprint(sum(1 for _ in read_live('-', (32, 24))))"
    )
    with path.open("rb") as file:
        found = subprocess.run([sys.executable, "-c", program], stdin=file, capture_output=True)
    assert found.stdout.split() == [str(len(images)).encode()]


def test_an_address_where_nothing_is_is_named():
    with pytest.raises(VideoError, match=r"'http://127\.0\.0\.1:9/a' cannot be read.*check the"):
        next(read_live("http://127.0.0.1:9/a", (32, 24)))


def test_a_camera_that_is_not_there_is_told_in_one_sentence(capfd):
    with pytest.raises(VideoError, match="Video '99' is a camera that gives no frame; check the"):
        next(read_live("99", (32, 24)))
    assert capfd.readouterr().err == ""


def test_a_stream_that_falls_silent_is_disconnected(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(VideoError, match="sends nothing for 1 s; check the camera"):
        next(read_live(str(pipe), (32, 24), Limits(stall_timeout=1.0)))
