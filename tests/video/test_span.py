"""Clips of long videos: the frames are those of a full decode, whatever is skipped."""

import math
from fractions import Fraction

import av
import numpy as np
import pytest

from tsn.video import decode, isolation, open_video
from tsn.video.errors import VideoError
from tsn.video.open_video import PausedVideos
from tsn.video.span import Span

FRAMES = 60


@pytest.fixture(params=["h264.mp4", "h264.mkv", "mpeg4.mp4", "mpeg4.avi", "h264.ts", "vfr.mkv"])
def video(request, tmp_path):
    """A video of 60 frames with a key frame every 12 and B-frames between."""
    path = tmp_path / request.param
    codec = "mpeg4" if "mpeg4" in request.param else "libx264"
    options = {"g": "12", "bf": "2", "x264-params": "keyint=12:scenecut=0:open-gop=1:bframes=2"}
    rng = np.random.default_rng(1)
    stamps = np.arange(FRAMES) * 40
    if "vfr" in request.param:
        stamps = np.cumsum(rng.integers(7, 90, FRAMES))
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 25 if "mpeg4" in codec else 1000)
        for n, stamp in enumerate(stamps):
            image = np.full((48, 64, 3), 4 * n, np.uint8)
            image[:, n : n + 4] = rng.integers(0, 255, (48, len(range(n, min(n + 4, 64))), 3))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = n if "mpeg4" in codec else int(stamp)
            frame.time_base = stream.codec_context.time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("start", "end", "unit"),
    [
        *((2, 1, "s"), (1, 1, "frames"), (-1, 2, "s"), (math.nan, 2, "s"), (0, math.nan, "s")),
        *((math.inf, math.inf, "s"), (0, 1, "minutes")),
    ],
)
def test_a_span_without_a_meaning_is_refused(start, end, unit):
    with pytest.raises(ValueError, match="a span must"):
        Span(start, end, unit)


def times(path) -> list[float]:
    with av.open(str(path)) as container:
        stamps = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    return [round(stamp - stamps[0], 6) for stamp in stamps]


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0.5), (0.44, 0.9), (0.5, 0.6), (1.0, 1.3), (1.9, math.inf)]
)
def test_a_clip_by_time_has_the_frames_of_a_full_decode(video, start, end):
    whole = list(decode.read_frames(video, None))
    expected = [f for f, t in zip(whole, times(video), strict=True) if start <= t < end]
    found = list(decode.read_frames(video, None, span=Span(start, end, "s")))
    assert len(found) == len(expected) > 1
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("start", "end"), [(0, 5), (11, 14), (30, 60), (58, math.inf)])
def test_a_clip_by_frames_is_half_open_and_counts_from_zero(video, start, end):
    whole = list(decode.read_frames(video, None))
    found = list(decode.read_frames(video, None, span=Span(start, end, "frames")))
    np.testing.assert_array_equal(found, whole[start : None if end == math.inf else end])


def test_a_frame_that_begins_at_the_end_is_not_in_the_clip(write_video, images):
    """At 25 frames a second, frame n begins at n / 25 s."""
    path = write_video("a.mkv", images)
    found = list(decode.read_frames(path, None, span=Span(0.08, 0.2, "s")))
    np.testing.assert_array_equal(found, images[2:5])


@pytest.mark.parametrize("span", [Span(5, 6, "s"), Span(12, 20, "frames"), Span(0.1, 0.12, "s")])
def test_a_clip_beyond_the_end_or_of_one_frame_is_bad(write_video, images, span):
    with pytest.raises(VideoError, match=r"frame\(s\) in the clip .*, and 2 are the least"):
        list(decode.read_frames(write_video("a.mkv", images), None, span=span))


@pytest.fixture
def decoded(monkeypatch):
    """Collects the frames that the decoder makes."""
    seen, make = [], open_video._decoded

    def counted(*arguments):
        for frame in make(*arguments):
            seen.append(frame)
            yield frame

    monkeypatch.setattr(open_video, "_decoded", counted)
    return seen


def test_only_what_follows_the_key_frame_before_is_decoded(video, decoded):
    list(decode.read_frames(video, None, span=Span(1.7, math.inf, "s")))
    assert (len(decoded) < 40) == (video.suffix in (".mp4", ".mkv"))


@pytest.mark.parametrize("unit", ["s", "frames"])
def test_clips_after_one_another_are_decoded_in_one_pass(video, unit, decoded):
    whole, stamps, paused = list(decode.read_frames(video, None)), times(video), PausedVideos()
    decoded.clear()
    for start, end in [(0, 10), (10, 20), (25, 40), (42, 59)]:
        span = Span(start, end, unit) if unit == "frames" else Span(stamps[start], stamps[end], "s")
        found = list(decode.read_frames(video, None, span=span, paused=paused))
        np.testing.assert_array_equal(found, whole[start:end])
    if unit == "frames" or video.suffix in (".avi", ".ts"):
        assert len(decoded) == FRAMES


def test_clips_that_overlap_go_on_where_others_ended(video, decoded):
    whole, paused = list(decode.read_frames(video, None)), PausedVideos()
    decoded.clear()
    for start, end in [(0, 20), (10, 30), (15, 40), (28, 40), (5, 9), (35, math.inf)]:
        span = Span(start, end, "frames")
        found = list(decode.read_frames(video, None, span=span, paused=paused))
        np.testing.assert_array_equal(found, whole[start : None if end == math.inf else end])
    # The first goes on with the fourth, the second with the last; none of the others can.
    assert len(decoded) == 41 + 60 + 41 + 10


def test_a_file_that_has_changed_is_read_from_its_start(write_video, images):
    paused, spans = PausedVideos(), (Span(0, 4, "frames"), Span(6, 9, "frames"))
    list(decode.read_frames(write_video("a.mkv", images), None, span=spans[0], paused=paused))
    path = write_video("a.mkv", images[::-1])
    found = list(decode.read_frames(path, None, span=spans[1], paused=paused))
    np.testing.assert_array_equal(found, images[::-1][6:9])


def test_the_isolated_decoder_reads_clips_too(write_video, images):
    path, span = write_video("a.mkv", images), Span(0.08, math.inf, "s")
    found = list(isolation.read_frames(path, None, span=span))
    np.testing.assert_array_equal(found, images[2:])


@pytest.mark.parametrize(
    "span", [Span(0.1, 12.25, "s"), Span(3, math.inf, "s"), Span(0, 9, "frames")]
)
def test_a_span_is_read_back(span):
    assert Span.parse(str(span)) == span
    assert Span.parse("") is None


def test_a_clip_that_begins_at_a_key_frame_is_decoded_from_it(tmp_path, decoded):
    """29/25 s are a little less than 14848 ticks of 1/12800 s, as a decimal."""
    path = tmp_path / "a.mp4"
    options = {"x264-params": "keyint=29:min-keyint=29:scenecut=0:bframes=0"}
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(40):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), n, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    assert len(list(decode.read_frames(path, None, span=Span(1.16, 1.4, "s")))) == 6
    assert len(decoded) == 6 + 1


def write_h264(path, params):
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"x264-params": params})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for n in range(FRAMES):
            image = np.full((48, 64, 3), 4 * n, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())


def write_refreshing(path):
    """Columns of key blocks, one after the other, instead of key frames."""
    write_h264(path, "intra-refresh=1:keyint=12:bframes=0:scenecut=0")


def write_trimmed(path):
    """Packets from a key frame on, copied, of which an edit list shows those from 0.2 s later."""
    whole = path.with_name("whole.mp4")
    write_h264(whole, "keyint=12:scenecut=0:bframes=2")
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        original = source.streams.video[0]
        copy = out.add_stream_from_template(original)
        start = round(0.68 / original.time_base)
        source.seek(start, stream=original)
        for packet in source.demux(original):
            if packet.dts is not None:
                packet.pts, packet.dts = packet.pts - start, packet.dts - start
                packet.stream = copy
                out.mux(packet)


def write_open(path):
    """Frames that are shown before a key frame refer to it and to frames before it."""
    write_h264(path, "open-gop=1:keyint=12:min-keyint=12:scenecut=0:bframes=3:b-adapt=0")


@pytest.mark.parametrize(
    ("write", "start"),
    [(write_refreshing, 1.2), (write_refreshing, 0.52), (write_trimmed, 0.12), (write_open, 0.4)],
)
def test_what_is_shown_need_not_begin_with_a_key_frame(tmp_path, write, start):
    path, end = tmp_path / "a.mp4", start + 0.48
    write(path)
    whole, stamps = list(decode.read_frames(path, None)), times(path)
    expected = [f for f, t in zip(whole, stamps, strict=True) if start <= t < end]
    found = list(decode.read_frames(path, None, span=Span(start, end, "s")))
    assert len(found) == len(expected) == 12
    np.testing.assert_array_equal(found, expected)


def test_frames_of_an_avi_that_is_coded_in_another_order_have_times_in_theirs(tmp_path):
    write_h264(tmp_path / "a.avi", "keyint=20:bframes=3:b-pyramid=normal")
    whole = list(decode.read_frames(tmp_path / "a.avi", None))
    found = list(decode.read_frames(tmp_path / "a.avi", None, span=Span(0.2, 0.6, "s")))
    np.testing.assert_array_equal(found, whole[5:15])
