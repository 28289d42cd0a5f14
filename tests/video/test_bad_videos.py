"""A bad video ends in a VideoError with the right status, and in nothing else."""

import errno
import os
import pickle
import random
import struct
import wave
from types import SimpleNamespace
from unittest.mock import Mock

import av
import numpy as np
import pytest

from tsn.runtime.errors import UserError
from tsn.video.decode import VideoError, read_frames
from tsn.video.open_video import packets_of


def failure(path) -> tuple[VideoError, int]:
    """The error that reading the video ends in, and the number of frames before it."""
    count = 0
    with pytest.raises(VideoError) as caught:
        for _ in read_frames(path, size=(32, 24)):
            count += 1
    return caught.value, count


def test_error_is_one_printable_sentence_that_names_the_file(tmp_path):
    error, _ = failure(tmp_path / os.fsdecode(b"line\nbreak \xff.avi"))
    assert isinstance(error, UserError)
    assert r"line\nbreak \udcff.avi" in str(error)
    assert "\n" not in str(error)
    str(error).encode()


def test_error_survives_the_way_back_from_a_worker_process(tmp_path):
    error, _ = failure(tmp_path / "nothing.avi")
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.status, str(copy)) == ("missing", str(error))


@pytest.mark.parametrize("name", ["nothing.avi", "a folder", "dangling", "nul\0", "file/a.avi"])
def test_missing(tmp_path, name):
    (tmp_path / "a folder").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    assert failure(tmp_path / name)[0].status == "missing"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("loop", "Too many levels of symbolic links"), ("x" * 300, "File name too long")],
)
def test_the_systems_reason_is_given(tmp_path, name, reason):
    (tmp_path / "loop").symlink_to("loop")
    error, _ = failure(tmp_path / name)
    assert error.status == "inaccessible" and reason in str(error)


@pytest.mark.parametrize("method", ["stat", "open"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_what_the_system_does_not_open_is_inaccessible(tmp_path, monkeypatch, method, number):
    # Simulated: the superuser, as whom tests may run, is let in everywhere.
    (tmp_path / "a.avi").write_bytes(b"R")
    refusal = Mock(side_effect=OSError(number, os.strerror(number)))
    monkeypatch.setattr(type(tmp_path), method, refusal)
    error, _ = failure(tmp_path / "a.avi")
    assert error.status == "inaccessible" and os.strerror(number) in str(error)


def test_empty(tmp_path):
    (tmp_path / "a.avi").touch()
    assert failure(tmp_path / "a.avi")[0].status == "empty"


@pytest.mark.parametrize(
    "content",
    [b"R", bytes(50_000), b"<html>404 not found</html>", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0",
     b"words and words\n" * 500, b"\x1b[31mcolours\n" * 500, random.Random(1).randbytes(50_000)],
    ids=["byte", "zeros", "web page", "png", "jpeg", "text", "ansi", "noise"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["a.avi", "a.txt", "a.jpg"])
def test_what_is_no_video_is_unreadable(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    assert failure(tmp_path / name)[0].status == "unreadable"


def test_sound_alone_is_unreadable(tmp_path):
    with wave.open(str(tmp_path / "a.wav"), "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(8000))
    assert failure(tmp_path / "a.wav")[0].status == "unreadable"


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\na.mkv\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile a.mkv\n",
    ],
    ids=["hls", "concat"],
)
def test_play_list_cannot_make_us_read_the_file_it_names(
    write_video, images, tmp_path, monkeypatch, text
):
    write_video("a.mkv", images)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.m3u8").write_text(text)
    assert failure("list.m3u8")[0].status == "unreadable"


def test_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path):
    os.mkfifo(tmp_path / "pipe.avi")
    assert failure(tmp_path / "pipe.avi")[0].status == "unreadable"


@pytest.mark.parametrize(
    "name",
    ["-i.mkv", "a'b\".mkv", "new\nline.mkv", "🎬.mkv", "%05d.mkv", "concat:a|b", "http:x.mkv",
     "pipe:0", "a;b $(c).mkv", "list.m3u8", "words.txt", os.fsdecode(b"bad\xff.mkv")],
)  # fmt: skip
def test_names_are_never_interpreted(write_video, images, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video("a.mkv", images).rename(name)
    assert len(list(read_frames(name))) == 12


def test_single_frame_is_too_short(write_video, images):
    error, count = failure(write_video("a.mkv", images[:1]))
    assert (error.status, count) == ("too_short", 1)


def test_two_frames_are_enough(write_video, images):
    assert len(list(read_frames(write_video("a.mkv", images[:2])))) == 2


def test_cover_image_alone_is_too_short(tmp_path, write_video, images):
    cover = write_video("cover.mov", images[:1], codec="png").read_bytes()
    start = cover.index(b"\x89PNG")
    with av.open(str(tmp_path / "song.mkv"), "w") as out:
        out.add_attachment("cover.png", "image/png", cover[start : cover.index(b"IEND") + 8])
        sound = out.add_stream("pcm_s16le", rate=8000)
        stall_timeout = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        stall_timeout.rate = 8000
        out.mux(sound.encode(stall_timeout))
    assert failure(tmp_path / "song.mkv")[0].status == "too_short"


def test_size_that_changes_in_the_middle(write_video, images, tmp_path):
    wide = write_video("a.ts", images, "mpeg2video").read_bytes()
    high = write_video("b.ts", images.swapaxes(1, 2), "mpeg2video").read_bytes()
    (tmp_path / "both.ts").write_bytes(wide + high)
    error, count = failure(tmp_path / "both.ts")
    assert error.status == "size_changed"
    assert "from 64x48 to 48x64" in str(error)
    assert count >= 10  # the splice may cost the decoder a frame or two


def test_streams_that_begin_in_the_midst_do_no_harm():
    packets = [SimpleNamespace(size=n) for n in (3, 0, 5)]

    class Container:
        def demux(self, stream):
            yield from packets
            raise IndexError("list index out of range")  # as PyAV's

    assert list(packets_of(Container(), None)) == [packets[0], packets[2]]


def test_image_that_cannot_be_decoded_ends_the_video(write_video, images):
    path = write_video("a.avi", images, codec="png")
    data = path.read_bytes()
    fifth = [start for start in range(len(data)) if data.startswith(b"\x89PNG", start)][5]
    path.write_bytes(data[:fifth] + b"junk" + data[fifth + 4 :])
    error, count = failure(path)
    assert (error.status, count) == ("unreadable", 5)
    assert "after 5 frames" in str(error)


def test_absurd_size_is_refused_before_decoding(write_video, images):
    path = write_video("a.avi", images, "rawvideo", "bgr24")
    data = bytearray(path.read_bytes())
    # BITMAPINFOHEADER follows the 8 bytes of its strf chunk header: its size, width, height.
    start = data.index(b"strf") + 12
    assert struct.unpack_from("<ii", data, start) == (64, -48)  # top row first
    struct.pack_into("<ii", data, start, 16385, -48)
    path.write_bytes(data)
    error, count = failure(path)
    assert (error.status, count) == ("unreadable", 0)
    assert "16385x48" in str(error)


def test_impossible_offset_in_a_header_does_not_cost_the_video(write_video, images, capfd):
    path = write_video("a.asf", images, "mpeg4")
    data = bytearray(path.read_bytes())
    # The first object in the header of an ASF file: 30 bytes in, its size after a 16-byte GUID.
    assert struct.unpack_from("<Q", data, 30 + 16)[0] < 1000
    data[30 + 16 + 7] = 2
    path.write_bytes(data)
    assert len(list(read_frames(path))) == 12
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.avi", "mpeg4"), ("a.mp4", "libx264"), ("a.webm", "libvpx"), ("a.ts", "mpeg2video")],
)
def test_no_damage_lets_another_exception_out(write_video, images, name, codec):
    path = write_video(name, images, codec)
    data = path.read_bytes()
    generator = random.Random(7)
    for round_ in range(60):
        damaged = bytearray(data)
        reach = len(data) if round_ % 2 else min(len(data), 600)
        for _ in range(generator.choice([1, 5, 40])):
            damaged[generator.randrange(reach)] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            for frame in read_frames(path, size=(32, 24)):
                assert frame.shape == (24, 32, 3)
        except VideoError as error:
            assert str(error)
