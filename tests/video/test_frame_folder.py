"""Folders and archives of images: naming, counts that do not match, spans."""

import tarfile

import cv2
import numpy as np
import pytest

from tests.frame_folders import write_images
from tsn.config.frame_folders import FrameFolders
from tsn.shards.jpeg import decode_jpeg, encode_jpeg
from tsn.video.errors import VideoError
from tsn.video.frame_folder import FrameFolder, read_frames
from tsn.video.naming import NAMINGS, check_template
from tsn.video.span import Span

TSN = FrameFolders("mmaction2").names


def flow_values(folder: FrameFolder) -> list[tuple[int, int]]:
    return [(int(field[0, 0, 0]), int(field[1, 0, 0])) for field in folder.flow()]


@pytest.mark.parametrize("name", NAMINGS)
@pytest.mark.parametrize("start", [0, 1])
def test_every_naming_is_read_from_zero_or_one(tmp_path, name, start):
    naming = FrameFolders(name).names
    fields = 4 if naming.flow_stride == 1 else 2
    video = write_images(tmp_path / "a/b/v_x", naming, 5, fields, start)
    folder = FrameFolder(video, naming)
    frames = list(read_frames(folder, None))
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 10, 20, 30, 40]
    if naming.flow:
        assert flow_values(folder) == [(100 + n, 200 + n) for n in range(fields)]


def test_frames_are_those_that_opencv_reads_resized_as_a_decoded_video_is(tmp_path):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (24, 32, 3), np.uint8)
    for n in (1, 2):
        (tmp_path / f"img_0000{n}.jpg").write_bytes(encode_jpeg(image, 95))
    (frame, _) = read_frames(FrameFolder(tmp_path, TSN), (16, 12))
    expected = cv2.cvtColor(cv2.imread(str(tmp_path / "img_00001.jpg")), cv2.COLOR_BGR2RGB)
    np.testing.assert_array_equal(frame, cv2.resize(expected, (16, 12)))
    (grey, _) = read_frames(FrameFolder(tmp_path, TSN), (16, 12), "grey")
    np.testing.assert_array_equal(grey, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))


def test_dense_flow_stores_the_second_frame_of_every_pair(tmp_path):
    """So its first field begins before the frames that there are."""
    folder = FrameFolder(write_images(tmp_path / "v", TSN, 5, 5), TSN)
    assert flow_values(folder) == [(101, 201), (102, 202), (103, 203), (104, 204)]


@pytest.mark.parametrize(
    ("change", "stream", "sentence"),
    [
        (lambda v: (v / "img_00003.jpg").unlink(), "rgb", "5 images up to number 6; 3 is missing"),
        (lambda v: (v / "img_00001.jpg").unlink(), "rgb", "begins with image 2 instead of 0 or 1"),
        (lambda v: (v / "img_00006.jpg").unlink(), "flow", None),
        (lambda v: (v / "flow_y_00005.jpg").unlink(), "flow", "5 images of x and 4 of y"),
        (lambda v: [f.unlink() for f in v.glob("flow_?_00005.jpg")], "flow", "has 4 flow fields"),
        (lambda v: [f.unlink() for f in v.glob("flow*")], "flow", "no image named flow_x_{:05d}"),
        (lambda v: [f.unlink() for f in v.glob("img*")], "rgb", "no image named img_{:05d}.jpg"),
        (lambda v: (v / "img_00004.jpg").write_bytes(b"text"), "rgb", "is not a JPEG or PNG"),
        (
            lambda v: (v / "img_00004.jpg").write_bytes((v / "img_00003.jpg").read_bytes()[:-9]),
            "rgb",
            "img_00004.jpg' is cut short",
        ),
        (
            lambda v: (v / "flow_y_00004.jpg").write_bytes(
                encode_jpeg(np.zeros((8, 8, 3), np.uint8), 90)
            ),
            "flow",
            "is 8x8 where others are 32x24",
        ),
    ],
)
def test_images_that_are_missing_or_damaged_are_named(tmp_path, change, stream, sentence):
    video = write_images(tmp_path / "v", TSN, 6, 5)
    change(video)
    folder = FrameFolder(video, TSN)
    if sentence is None:  # as dense_flow: as many fields as frames
        assert len(flow_values(folder)) == 4
        return
    with pytest.raises(VideoError) as caught:
        list(folder.frames() if stream == "rgb" else folder.flow())
    assert sentence in str(caught.value)


def test_what_cameras_write_around_an_image_does_no_harm(tmp_path):
    """Metadata of more than a segment in front of it, and data of their own behind it."""
    folder = FrameFolder(write_images(tmp_path / "v", TSN, 2, 0), TSN)
    expected = list(read_frames(folder, None))
    file = tmp_path / "v" / "img_00001.jpg"
    metadata, jpeg = b"\xff\xe2\xff\xff" + bytes(0xFFFD), file.read_bytes()
    file.write_bytes(jpeg[:2] + 2 * metadata + jpeg[2:] + b"SEFT")
    np.testing.assert_array_equal(list(read_frames(folder, None)), expected)
    data, _ = next(folder.frames())
    stored = decode_jpeg(np.frombuffer(data, np.uint8), (32, 24))
    np.testing.assert_array_equal(stored, expected[0])


def test_a_clip_has_the_flow_of_its_own_pairs_only(tmp_path):
    video = write_images(tmp_path / "v", TSN, 10, 9)
    folder = FrameFolder(video, TSN, span=Span(2, 6, "frames"))
    assert [int(frame[0, 0, 0]) for frame in read_frames(folder, None)] == [20, 30, 40, 50]
    assert flow_values(folder) == [(102, 202), (103, 203), (104, 204)]
    timed = FrameFolder(video, TSN, 10.0, Span(0.2, 0.6, "s"))
    assert flow_values(timed) == flow_values(folder)
    with pytest.raises(VideoError, match="no time stamps"):
        list(read_frames(FrameFolder(video, TSN, None, Span(0.2, 0.6, "s")), None))
    with pytest.raises(VideoError, match=r"has 0 frame\(s\) in the clip"):
        list(read_frames(FrameFolder(video, TSN, span=Span(20, 30, "frames")), None))


def test_an_archive_is_read_as_the_folder_that_was_packed_into_it(tmp_path):
    """As EPIC-Kitchens': frames in one, the folders u and v of the flow in another."""
    naming = FrameFolders("epic_kitchens").names
    video = write_images(tmp_path / "P01/rgb_frames/P01_01", naming, 9, 4)
    frames, flow = list(read_frames(FrameFolder(video, naming), None)), None
    flow = flow_values(FrameFolder(video, naming))
    for folder in (video, tmp_path / "P01/flow_frames/P01_01"):
        with tarfile.open(folder.with_suffix(".tar"), "w") as archive:
            archive.add(folder, ".")
        folder.rename(tmp_path / f"away{folder.parent.name}")
    packed = FrameFolder(video.with_suffix(".tar"), naming)
    np.testing.assert_array_equal(list(read_frames(packed, None)), frames)
    assert flow_values(packed) == flow


@pytest.mark.parametrize("template", ["img.jpg", "{:d}{:d}.jpg", "{x}/{:d}.jpg", "{:05d}.gif"])
def test_what_is_no_template_is_told(template):
    assert "is no template" in check_template(template)
