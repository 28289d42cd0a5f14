"""What `read_frames` yields for good videos. Bad ones: test_bad_videos.py."""

import gc
import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from tsn.video.decode import VideoError, decoder_versions, probe, read_frames


def moov_parts(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Split an MP4 file into what is before its moov box, the boxes in it, and the rest."""
    start = data.index(b"moov") - 4
    (length,) = struct.unpack_from(">I", data, start)
    boxes, position = [], start + 8
    while position < start + length:
        (size,) = struct.unpack_from(">I", data, position)
        boxes.append(data[position : position + size])
        position += size
    return data[:start], boxes, data[start + length :]


def test_lossless_video_comes_back_unchanged_and_in_order(write_video, images):
    frames = list(read_frames(write_video("a.mkv", images), size=(64, 48)))
    assert [frame.dtype for frame in frames] == [np.uint8] * 12
    np.testing.assert_array_equal(frames, images)


def test_frames_are_resized_before_they_are_made_grey(write_video, images):
    path = write_video("a.mkv", 255 * (images > 120).astype(np.uint8))
    resized = [cv2.resize(frame, (50, 31)) for frame in read_frames(path, size=(64, 48))]
    grey = list(read_frames(path, size=(50, 31), colour="grey"))
    np.testing.assert_array_equal(list(read_frames(path, size=(50, 31))), resized)
    # Rec. 601 luma, to the nearest integer: the weights of OpenCV's RGB2GRAY.
    luma = np.array(resized) @ [0.299, 0.587, 0.114]
    assert grey[0].shape == (31, 50)
    np.testing.assert_allclose(grey, luma, atol=0.51)


def test_default_size_is_340_by_256(write_video, images):
    assert next(read_frames(write_video("a.mkv", images))).shape == (256, 340, 3)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.h264", "libx264"),
        ("a.hevc", "libx265"),
        ("a.m2v", "mpeg2video"),
        ("a.m4v", "mpeg4"),
        ("a.mjpeg", "mjpeg"),
        ("a.y4m", "rawvideo"),
    ],
)
def test_video_without_a_container_is_read(write_video, images, name, codec):
    path = write_video(name, images, codec, "yuvj420p" if codec == "mjpeg" else "yuv420p")
    assert probe(path) == (12, 25)
    assert len(list(read_frames(path))) == 12


@pytest.mark.parametrize(("degrees", "shape"), [("0", (48, 64, 3)), ("90", (64, 48, 3))])
def test_without_a_size_frames_have_the_videos_own_upright(write_video, images, degrees, shape):
    path = write_video("a.mkv", images, tags={"rotate": degrees})
    frames = list(read_frames(path, size=None))
    assert {frame.shape for frame in frames} == {shape}
    np.testing.assert_array_equal(frames, [np.rot90(p, -int(degrees) // 90) for p in images])


def test_probe_counts_frames_and_knows_their_rate(write_video, images):
    # The fixture encodes 25 images a second.
    assert probe(write_video("a.mp4", images, "mpeg4")) == (12, 25)
    assert probe(write_video("a.mkv", images)) == (12, 25)
    # Time-lapse: 12 images in 551/25 s, for the last is shown for 1/25 s.
    slow = write_video("b.mp4", images, "mpeg4", pts=range(0, 600, 50))
    assert probe(slow) == (12, Fraction(12 * 25, 551))


def test_probe_of_no_video_is_a_video_error(tmp_path):
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(VideoError, match=r"a\.mp4"):
        probe(tmp_path / "a.mp4")


def test_uneven_time_stamps_neither_drop_nor_repeat_frames(write_video, images):
    stamps = [0, 1, 2, 50, 51, 60, 61, 62, 63, 64, 300, 301]
    path = write_video("a.mkv", images, pts=stamps)
    np.testing.assert_array_equal(list(read_frames(path, size=(64, 48))), images)


def test_changing_a_frame_does_not_change_the_next_ones(write_video, images):
    frames = []
    for frame in read_frames(write_video("a.mov", images, codec="png"), size=(64, 48)):
        frames.append(frame.copy())
        frame[:] = 0
    np.testing.assert_array_equal(frames, images)


# (a, b, c, d) of the display matrix and what a player has to show.
# 90 clockwise is what a phone held upright writes: a=0, b=1, c=-1, d=0.
ORIENTATIONS = [
    ((1, 0, 0, 1), lambda p: p),
    ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    ((-1, 0, 0, -1), lambda p: np.rot90(p, 2)),
    ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    ((1, 0, 0, -1), lambda p: p[::-1]),
    ((0, 1, 1, 0), lambda p: p.swapaxes(0, 1)),
]


@pytest.mark.parametrize(("matrix", "turned"), ORIENTATIONS)
def test_display_matrix_turns_images_upright(write_video, images, matrix, turned):
    path = write_video("a.mov", images[:3], codec="png")
    data = bytearray(path.read_bytes())
    # ISO/IEC 14496-12, 8.3.2: the matrix of a version-0 tkhd box starts 44 bytes after its type.
    start = data.index(b"tkhd") + 44
    a, b, c, d = (65536 * value for value in matrix)
    assert struct.unpack_from(">9i", data, start) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    struct.pack_into(">9i", data, start, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    expected = [turned(image) for image in images[:3]]
    height, width = expected[0].shape[:2]
    np.testing.assert_array_equal(list(read_frames(path, size=(width, height))), expected)


@pytest.mark.parametrize(("degrees", "quarters"), [("90", -1), ("180", 2), ("270", 1), ("odd", 0)])
def test_rotate_tag_counts_clockwise(write_video, images, degrees, quarters):
    path = write_video("a.mkv", images[:2], tags={"rotate": degrees})
    expected = [np.rot90(image, quarters) for image in images[:2]]
    height, width = expected[0].shape[:2]
    np.testing.assert_array_equal(list(read_frames(path, size=(width, height))), expected)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "colour"),
    [
        ("a.mkv", "ffv1", "yuv420p10le", (200, 90, 40)),
        ("a.mkv", "ffv1", "yuva420p", (200, 90, 40)),
        ("a.mkv", "ffv1", "gray", (120, 120, 120)),
        ("a.mkv", "ffv1", "gray16le", (120, 120, 120)),
        ("a.mkv", "ffv1", "yuv444p", (30, 200, 90)),
        ("a.avi", "mjpeg", "yuvj420p", (200, 90, 40)),
        ("a.mov", "png", "rgba", (200, 90, 40)),
        ("a.gif", "gif", "rgb8", (255, 36, 85)),  # a colour of the 3-3-2 palette
    ],
)
def test_any_pixel_format_keeps_its_colours(write_video, name, codec, pix_fmt, colour):
    image = np.full((48, 64, 3), colour, np.uint8)
    path = write_video(name, [image] * 3, codec, pix_fmt)
    frames = list(read_frames(path, size=(20, 10)))
    assert len(frames) == 3
    np.testing.assert_allclose(frames[1], np.full((10, 20, 3), colour), atol=3)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (33, 17), (64, 47), (63, 48)])
def test_odd_sizes_keep_their_last_row_and_column(write_video, images, width, height):
    cut = images[:2, :height, :width]
    frames = list(read_frames(write_video("a.mkv", cut), size=(width, height)))
    np.testing.assert_array_equal(frames, cut)


def test_second_video_stream_is_left_alone(tmp_path, images):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("ffv1", rate=25) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr0"
        for time, image in enumerate(images):
            for stream, shown in zip(streams, (image, 255 - image), strict=True):
                frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
                frame.pts = time
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode())
    np.testing.assert_array_equal(list(read_frames(path, size=(64, 48))), images)


def test_cover_image_in_front_of_the_video_is_not_the_video(tmp_path, images):
    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        cover = out.add_stream("png", rate=25)
        cover.disposition = av.stream.Disposition.attached_pic
        for stream, fmt in ((video, "yuv420p"), (cover, "rgb24")):
            stream.width, stream.height, stream.pix_fmt = 64, 48, fmt
        for time, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = time
            out.mux(video.encode(frame))
            if time == 0:
                out.mux(cover.encode(frame))
        out.mux(video.encode())
        out.mux(cover.encode())
    # FFmpeg numbers streams in file order: put the box with the cover before the video's track.
    before, boxes, after = moov_parts(path.read_bytes())
    boxes.sort(key=lambda box: [b"mvhd", b"udta", b"trak"].index(box[4:8]))
    moov = b"".join(boxes)
    path.write_bytes(before + struct.pack(">I4s", len(moov) + 8, b"moov") + moov + after)
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition == av.stream.Disposition.attached_pic
    assert len(list(read_frames(path))) == 12


def test_frame_left_out_by_the_writer_does_not_end_the_video(tmp_path, images):
    path = tmp_path / "gap.nut"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for time, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = time
            for packet in stream.encode(frame):
                if time == 3:
                    gap = av.Packet(b"")
                    gap.pts, gap.dts, gap.time_base = packet.pts, packet.dts, packet.time_base
                    gap.stream = stream
                    packet = gap
                out.mux(packet)
    frames = list(read_frames(path, size=(64, 48)))
    np.testing.assert_array_equal(frames, np.delete(images, 3, axis=0))


def test_decoded_frames_are_not_kept(write_video, images):
    path = write_video("a.mkv", np.tile(images, (5, 1, 1, 1)))
    gc.collect()
    gc.disable()
    try:
        for number, _ in enumerate(read_frames(path), start=1):
            if number % 16 == 0:  # looking at every object takes long
                kept = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
                assert kept <= 5
    finally:
        gc.enable()


def test_leaving_early_closes_the_file(write_video, images, recwarn):
    frames = read_frames(write_video("a.mkv", images))
    next(frames)
    frames.close()
    gc.collect()
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]


@pytest.mark.parametrize(
    "wrong",
    [
        {"colour": "gray"},
        {"max_frames": 1},
        {"size": (0, 256)},
        {"size": (340, -1)},
        {"size": (99999, 1)},
    ],
)
def test_wrong_arguments_fail_at_once(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        read_frames("never opened.mp4", **wrong)


def test_decoder_versions_name_all_that_makes_a_frame():
    versions = decoder_versions()
    assert set(versions) == {"av", "libavcodec", "libavformat", "libavutil", "libswscale", "opencv"}
    assert versions["av"] == av.__version__
    assert all(text[0].isdigit() for text in versions.values())


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (17, 2), (101, 67), (3840, 2160)])
def test_images_of_any_size_become_frames(write_video, size):
    width, height = size
    path = write_video("a.mov", np.full((2, height, width, 3), 200, np.uint8), codec="png")
    for frame in read_frames(path):
        assert frame.shape == (256, 340, 3) and np.all(abs(frame.astype(int) - 200) <= 1)
