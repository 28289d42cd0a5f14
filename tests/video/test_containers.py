"""A file cut short is told from a whole one whose header merely lies."""

import io
import struct
from pathlib import Path

import pytest

from tsn.video.containers import find_truncation
from tsn.video.decode import VideoError, read_frames

REAL = Path(__file__).parents[3] / "shared" / "data"

VIDEOS = [
    ("a.avi", "mpeg4", None),
    ("raw.avi", "rawvideo", None),
    ("a.mp4", "libx264", None),
    ("fast.mp4", "libx264", {"movflags": "+faststart"}),
    ("a.mov", "mjpeg", None),
    ("a.mkv", "libx264", None),
    ("live.mkv", "libx264", {"live": "1"}),  # a segment of unknown length
    ("a.webm", "libvpx", None),
]


@pytest.fixture(params=VIDEOS, ids=[name for name, _, _ in VIDEOS])
def whole(request, write_video, images) -> Path:
    name, codec, options = request.param
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    return write_video(name, images, codec, pix_fmt, options)


def verdict(path: Path) -> str:
    """The status of the error, or the number of frames."""
    count = 0
    try:
        for _ in read_frames(path, size=(32, 24)):
            count += 1
    except VideoError as error:
        return error.status
    return f"{count} frames"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_cut_file_is_truncated(whole, share):
    data = whole.read_bytes()
    whole.write_bytes(data[: int(share * len(data))])
    assert verdict(whole) == "truncated"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_cut_fragmented_mp4_is_truncated(write_video, images, share):
    in_pieces = {"movflags": "+frag_keyframe+empty_moov"}
    path = write_video("pieces.mp4", images, "libx264", options=in_pieces)
    data = path.read_bytes()
    assert verdict(path) == "12 frames"
    path.write_bytes(data[: int(share * len(data))])
    assert verdict(path) == "truncated"


@pytest.mark.parametrize("tail", [b"", bytes(500), b"left over from a camera" * 9, b"\xa5" * 99])
def test_bytes_after_the_end_are_no_truncation(whole, tail):
    whole.write_bytes(whole.read_bytes() + tail)
    assert verdict(whole) == "12 frames"


def test_flipped_bits_in_the_middle_are_no_truncation(write_video, images):
    path = write_video("a.avi", images, "mpeg4")
    data = bytearray(path.read_bytes())
    middle = data.index(b"movi") + len(data[data.index(b"movi") : data.index(b"idx1")]) // 2
    data[middle] ^= 0x10
    path.write_bytes(data)
    assert verdict(path) == "12 frames"


def test_frame_counts_in_the_header_are_not_believed(write_video, images):
    path = write_video("a.avi", images, "mpeg4")
    data = bytearray(path.read_bytes())
    # dwTotalFrames of the main header and dwLength of the stream header (AVI RIFF reference).
    for field in (data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32):
        assert struct.unpack_from("<I", data, field) == (12,)
        struct.pack_into("<I", data, field, 20)
    path.write_bytes(data)
    assert verdict(path) == "12 frames"


def test_flv_cut_inside_its_last_image_is_truncated(write_video, images):
    path = write_video("a.flv", images, "flv")
    data = path.read_bytes()
    path.write_bytes(data[: int(0.6 * len(data))])
    assert verdict(path) == "truncated"


def test_what_follows_a_matroska_segment_of_known_length_is_not_looked_at(write_video, images):
    path = write_video("a.mkv", images, "libx264")
    path.write_bytes(path.read_bytes() + b"\xec\x90 half a void")
    assert verdict(path) == "12 frames"


def riff(kind: bytes, content: bytes, declared: int | None = None) -> bytes:
    length = 4 + len(content) if declared is None else declared
    return b"RIFF" + struct.pack("<I", length) + kind + content


def find(data: bytes) -> str | None:
    return find_truncation(io.BytesIO(data), len(data))


def test_every_chunk_of_a_large_avi_counts():
    first, second = riff(b"AVI ", bytes(100)), riff(b"AVIX", bytes(60))
    assert find(first + second) is None
    assert "promises 184 bytes, the file has 164" in find((first + second)[:-20])
    padded = riff(b"AVI ", bytes(101)) + b"\0"
    assert "promises 186 bytes, the file has 166" in find((padded + second)[:-20])


def test_avi_may_count_its_own_header_or_lack_the_pad_byte():
    assert find(riff(b"AVI ", bytes(100), declared=112)) is None
    assert find(riff(b"AVI ", bytes(101))) is None
    assert find(riff(b"AVI ", bytes(100), declared=113))


@pytest.mark.parametrize("unknown", [0, 0xFFFFFFFF])
def test_avi_written_to_a_pipe_declares_nothing(unknown):
    assert find(riff(b"AVI ", bytes(100), declared=unknown)) is None


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def test_mp4_box_lengths_of_64_bits_and_to_the_end():
    large = struct.pack(">I4sQ", 1, b"mdat", 16 + 100)
    assert find(box(b"moov", b"") + large + bytes(100)) is None
    assert "'mdat' ends at byte 132, the file has 131" in find(
        box(b"ftyp", b"") + box(b"moov", b"") + large + bytes(99)
    )
    assert find(box(b"moov", b"") + struct.pack(">I4s", 0, b"mdat") + bytes(5)) is None


def test_mp4_that_ends_where_its_index_should_begin_is_truncated():
    assert "moov" in find(box(b"ftyp", b"isom") + box(b"mdat", bytes(50)))


@pytest.mark.parametrize(
    ("chroma", "length"),
    [
        ("", 5 * 3 + 2 * 3 * 2),
        (" C420jpeg", 5 * 3 + 2 * 3 * 2),
        (" C422", 5 * 3 + 2 * 3 * 3),
        (" C411", 5 * 3 + 2 * 2 * 3),
        (" C444alpha", 5 * 3 * 4),
        (" C420p10", 2 * (5 * 3 + 2 * 3 * 2)),
        (" Cmono16", 2 * 5 * 3),
    ],
)
def test_the_length_of_a_y4m_frame_follows_from_its_header(chroma, length):
    frame = b"FRAME\n" + b"x" * length
    data = f"YUV4MPEG2 W5 H3 F25:1{chroma}\n".encode() + 2 * frame
    assert find_truncation(io.BytesIO(data), len(data)) is None
    for cut in (1, length + 3):
        assert "Y4M" in (find_truncation(io.BytesIO(data[:-cut]), len(data) - cut) or "")


def test_other_formats_declare_nothing():
    assert find(b"GIF89a" + bytes(50)) is None


def real_clips() -> list[Path]:
    return sorted(REAL.glob("*-mini/UCF-101/*/*.avi")) + sorted(REAL.glob("*-mini/hmdb51_org/*/*"))


@pytest.mark.skipif(not real_clips(), reason="no real clips beside the project")
def test_real_clips_are_whole_and_cut_ones_are_not(tmp_path):
    clips = real_clips()
    for clip in clips:
        with clip.open("rb") as file:
            assert find_truncation(file, clip.stat().st_size) is None, clip
    for clip in clips[::8]:
        data = clip.read_bytes()
        for share in (0.3, 0.6, 0.9, 0.97):
            (tmp_path / "cut.avi").write_bytes(data[: int(share * len(data))])
            assert verdict(tmp_path / "cut.avi") == "truncated", (clip, share)


@pytest.mark.skipif(not real_clips(), reason="no real clips beside the project")
def test_real_clips_with_lying_headers_decode_to_their_true_length():
    # Counted with OpenCV's VideoCapture; the header of each says 48, 36 and 24 frames.
    truth = {"boomsnapclap!_clap_u_nm_np1_fr_med_0.avi": 40,
             "Basic_Vodka_Recipes_-_How_to_Make_a_Shirley_Temple_pour_u_cm_np1_fr_med_0.avi": 30,
             "Dual9mm_shoot_gun_u_cm_np1_ri_goo_0.avi": 20}  # fmt: skip
    clips = {clip.name: clip for clip in real_clips()}
    for name, frames in truth.items():
        if name in clips:
            assert verdict(clips[name]) == f"{frames} frames"
