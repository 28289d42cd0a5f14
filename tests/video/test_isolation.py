"""A decoder in a process of its own: the same frames; its crash, stall or hunger is the video's."""

import gc
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tsn.runtime.errors import UserError
from tsn.video import decode, decoder_process, isolation
from tsn.video.errors import VideoError
from tsn.video.isolation import Limits, probe, read_frames
from tsn.video.open_video import PausedVideos


@pytest.fixture(autouse=True)
def _no_process_left():
    def end_idle() -> None:
        while isolation._idle:
            isolation._idle.pop().end()

    end_idle()  # those of other files' tests
    yield
    end_idle()


@pytest.fixture
def decoder(monkeypatch):
    """A function that starts decoders which do `body` where the first frame would be decoded."""

    def use(body: str) -> None:
        program = textwrap.dedent(
            f"""
            import ctypes, os, signal, sys, time
            import tsn.video.decoder_process as process
            def read_frames(path, **_):
                {body}
                yield
            process.read_frames = read_frames
            process.main(*sys.argv[1:])
            """
        )
        monkeypatch.setattr(isolation, "_PROGRAM", ["-c", program])

    return use


def failure(path, **arguments) -> VideoError:
    with pytest.raises(VideoError) as caught:
        list(read_frames(path, **arguments))
    return caught.value


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("size", [(340, 256), (16, 16), None])
def test_frames_are_those_of_the_decoder_in_this_process(write_video, images, colour, size):
    path = write_video("a.mkv", np.tile(images, (9, 1, 1, 1)))  # several times round the ring
    expected = list(decode.read_frames(path, size, colour))
    found = list(read_frames(path, size, colour))
    np.testing.assert_array_equal(found, expected)
    assert probe(path) == decode.probe(path)


def test_a_size_may_be_numpys(write_video, images):
    size = np.array([10, 8])
    assert next(read_frames(write_video("a.mkv", images), tuple(size))).shape == (8, 10, 3)


def test_frames_are_the_callers_own(write_video, images):
    path = write_video("a.mkv", images)
    for frame in read_frames(path, (16, 16)):
        frame[:] = 7
    assert not np.any([np.all(frame == 7) for frame in read_frames(path, (16, 16))])


def test_two_videos_are_read_side_by_side(write_video, images):
    paths = [write_video("a.mkv", images), write_video("b.mkv", images[::-1])]
    pairs = zip(*map(read_frames, paths), strict=True)
    for (first, second), expected in zip(pairs, decode.read_frames(paths[0]), strict=True):
        np.testing.assert_array_equal(first, expected)
        assert not np.array_equal(first, second)


def test_threads_read_at_a_time(write_video, images):
    paths = [write_video("a.mkv", images), write_video("b.mkv", images[::-1])] * 20
    expected = [list(decode.read_frames(path, (16, 16))) for path in paths[:2]] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda path: list(read_frames(path, (16, 16))), paths))
    np.testing.assert_array_equal(found, expected)
    assert len(isolation._idle) <= 4


def test_a_forked_process_starts_decoders_of_its_own(write_video, images):
    path = write_video("a.mkv", images)
    list(read_frames(path))
    child = os.fork()
    if not child:
        os._exit(len(list(read_frames(path))) + 100 * len(isolation._idle))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 12 + 100
    assert len(list(read_frames(path))) == 12


def test_good_videos_share_a_process_and_a_bad_one_ends_it(write_video, images, tmp_path):
    good = write_video("a.mkv", images)
    list(read_frames(good))
    (first,) = isolation._idle
    assert failure(tmp_path / "nothing.avi").status == "missing"
    list(read_frames(good))
    assert isolation._idle == [first]
    (tmp_path / "text.avi").write_text("This is a shopping list.\n")
    assert failure(tmp_path / "text.avi").status == "unreadable"
    assert isolation._idle == []


def test_a_caller_that_leaves_early_leaves_no_process(monkeypatch, write_video, images):
    started = []
    start = subprocess.Popen

    def popen(*arguments, **options):
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    frames = read_frames(write_video("a.mkv", images))
    next(frames)
    (decoder,) = started
    assert decoder.poll() is None
    frames.close()
    gc.collect()
    assert not isolation._idle
    assert decoder.returncode is not None  # ended and waited for: no zombie either


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("ctypes.string_at(0)", "crashed", "crashes the decoder (SIGSEGV)"),
        ("os.abort()", "crashed", "SIGABRT"),
        ("os._exit(3)", "crashed", "exit status 3"),
        ("while True: pass", "timed_out", "more time than any video should"),
        ("time.sleep(60)", "timed_out", "stalls the decoder for 2 s"),
    ],
)
def test_a_decoder_that_fails_is_a_quarantined_video(decoder, body, status, words):
    decoder(body)
    error = failure(
        "some.avi", limits=Limits(seconds=1, stall_timeout=2.0 if "sleep" in body else 60)
    )
    assert error.status == status
    assert "Video 'some.avi' " in str(error) and words in str(error)


def test_a_decoder_that_is_killed_from_outside_is_not_the_videos_fault(decoder):
    decoder("os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(UserError, match=r"some\.avi.*SIGKILL.*out of memory") as caught:
        list(read_frames("some.avi"))
    assert not isinstance(caught.value, VideoError)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps limits of memory")
def test_a_video_that_needs_too_much_memory_is_too_big(write_video):
    path = write_video("a.mkv", np.zeros((2, 3000, 4000, 3), np.uint8))
    assert len(list(read_frames(path))) == 2
    error = failure(path, limits=Limits(memory=40 << 20))
    assert error.status == "too_big" and "memory" in str(error)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps limits of memory")
def test_a_job_with_too_little_memory_is_not_the_videos_fault(write_video, images):
    program = (
        "import resource, sys; from tsn.video.isolation import read_frames\n"
        "resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
        "list(read_frames(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, write_video("a.mkv", images)]
    error = subprocess.run(command, capture_output=True, text=True).stderr.splitlines()[-1]
    assert (
        error.startswith("tsn.runtime.errors.UserError: ")
        and "(ulimit -v) leaves the decoder" in error
    )


@pytest.mark.parametrize("name", ["-i.mkv", "new\nline.mkv", "🎬'\".mkv", os.fsdecode(b"\xff.mkv")])
def test_any_name_reaches_the_decoder(write_video, images, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video("a.mkv", images).rename(name)
    assert len(list(read_frames(name))) == 12


def test_a_longer_video_is_refused_before_it_is_decoded(write_video, images):
    path = write_video("a.mp4", images, "mpeg4")
    assert len(list(read_frames(path, max_frames=12))) == 12
    with pytest.raises(VideoError, match="more than 11 frames") as caught:
        next(read_frames(path, max_frames=11))
    assert caught.value.status == "too_long"


def test_a_video_that_hides_its_length_is_refused_at_the_limit(write_video, images):
    path = write_video("live.mkv", images, options={"live": "1"})
    frames = decode.read_frames(path, max_frames=11)
    assert len([next(frames) for _ in range(11)]) == 11
    with pytest.raises(VideoError, match="more than 11 frames"):
        next(frames)


@pytest.mark.parametrize(
    ("span", "more"), [(None, 0), ((1000.0, 1100.0, "frames"), 1000), ((10.0, 20.0, "s"), 2400)]
)
def test_what_is_before_a_clip_has_time_of_its_own(monkeypatch, span, more):
    """A second a frame, as the frames of the clip."""
    limits: list[float] = []
    monkeypatch.setattr(decoder_process, "_limit_time", limits.append)
    monkeypatch.setattr(decoder_process, "read_frames", lambda *_, **__: iter("a"))
    monkeypatch.setattr(decoder_process, "_send_frames", lambda _, frames: list(frames))
    request = {"work": "frames", "path": "a", "span": span}
    decoder_process._serve(None, request, 60, PausedVideos())
    assert limits[1] - limits[0] == pytest.approx(more, abs=1)


def test_wrong_arguments_fail_at_once():
    with pytest.raises(ValueError, match="max_frames"):
        read_frames("never opened.mp4", max_frames=1)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_a_decoder_does_not_outlive_a_killed_parent(write_video, images):
    path = write_video("a.mkv", np.tile(images, (40, 1, 1, 1)))
    program = (
        "import os, sys; from tsn.video.isolation import read_frames\n"
        "frames = read_frames(sys.argv[1])\n"
        "next(frames)\n"
        "print(open(f'/proc/self/task/{os.getpid()}/children').read(), flush=True)\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    child = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 60
    while child.exists() and "State:\tZ" not in child.joinpath("status").read_text():
        assert time.monotonic() < deadline, "the decoder goes on"
        time.sleep(0.05)
