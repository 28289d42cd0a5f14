"""Shards: what goes in comes out, the same bytes every time, and damage is told."""

import fcntl
import os
import subprocess
import sys

import numpy as np
import pytest

from tsn.config.schema import FramesConfig
from tsn.datasets.records import Video
from tsn.runtime.errors import UserError
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard, write_shard
from tsn.shards.jpeg import encode_jpeg
from tsn.video.decode import read_frames

SIZE = (40, 30)
FINGERPRINT = {"backend": "native", "scales": 5}


def flow_rows(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 2, 30, 40), dtype=np.uint8)


def jpegs(count: int, seed: int = 1) -> list[bytes]:
    """JPEGs of noise; another seed gives another strength, and so another number of bytes."""
    frames = np.random.default_rng(seed).integers(0, 256 >> seed, (count, 30, 40, 3), np.uint8)
    return [encode_jpeg(frame, 95) for frame in frames]


def write_flow(path, videos: dict[str, np.ndarray]) -> None:
    with write_shard(path, "flow", SIZE, FINGERPRINT, {"tsn": "1"}) as writer:
        for name, rows in videos.items():
            writer.add(name, name.split("/")[0], [rows])


@pytest.fixture
def damaged(tmp_path):
    """A function that writes a shard, flips one bit at each position given, and reads all of it."""

    def read(stream: str, positions) -> list[str]:
        path = tmp_path / "0000.h5"
        with write_shard(path, stream, SIZE, FINGERPRINT, {}) as writer:
            for n in range(3):
                writer.add(f"a/{n}", "a", jpegs(6, n) if stream == "rgb" else [flow_rows(6, n)])
        whole = path.read_bytes()
        before = content(path)
        told = []
        for position in positions(len(whole)):
            data = bytearray(whole)
            data[position] ^= 0x10
            path.write_bytes(data)
            try:
                # Free space inside the file may change: the content may not.
                assert same(content(path), before), f"byte {position} of {len(whole)}"
            except UserError as error:
                told.append(str(error))
        return told

    return read


def content(path) -> tuple:
    with Shard(path) as shard:
        usable = [video for video in shard.videos.values() if video.ok]
        rows = [shard.read(video, range(video.length)) for video in usable]
        return shard.stream, shard.size, shard.fingerprint, list(shard.videos.values()), rows


def same(one: tuple, other: tuple) -> bool:
    return one[:-1] == other[:-1] and all(map(np.array_equal, one[-1], other[-1]))


def test_flow_comes_back_byte_for_byte(tmp_path):
    rows = flow_rows(5)
    write_flow(tmp_path / "s.h5", {"a/1": rows, "b/2": 255 - rows[:2]})
    with Shard(tmp_path / "s.h5") as shard:
        assert (shard.stream, shard.size, shard.fingerprint) == ("flow", SIZE, FINGERPRINT)
        assert shard.made_with == {"tsn": "1"}
        first, second = shard.videos.values()
        assert (second.id, second.class_name, second.start, second.length) == ("b/2", "b", 5, 2)
        assert np.array_equal(shard.read(first, range(5)), rows)
        assert np.array_equal(shard.read(second, range(2)), 255 - rows[:2])


def test_rgb_comes_back_as_the_decoded_jpeg(tmp_path):
    import cv2

    data = jpegs(4)
    with write_shard(tmp_path / "s.h5", "rgb", SIZE, {}, {}) as writer:
        writer.add("a/1", "a", data)
    with Shard(tmp_path / "s.h5") as shard:
        frames = shard.read(shard.videos["a/1"], range(4))
    assert frames.shape == (4, 30, 40, 3) and frames.dtype == np.uint8
    for frame, jpeg in zip(frames, data, strict=True):
        bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(frame[..., ::-1], bgr)


def test_rows_may_come_in_any_order_and_repeatedly(tmp_path):
    rows = flow_rows(5)
    write_flow(tmp_path / "s.h5", {"a/0": flow_rows(3, 2), "a/1": rows})
    with Shard(tmp_path / "s.h5") as shard:
        for some in ([4, 0, 4], [1, 2, 3], [2], []):
            assert np.array_equal(shard.read(shard.videos["a/1"], some), rows[some])


@pytest.mark.parametrize("rows", [[-1], [5], [0, 5]])
def test_a_row_outside_the_video_is_an_error_and_not_the_neighbours_row(tmp_path, rows):
    write_flow(tmp_path / "s.h5", {"a/0": flow_rows(3), "a/1": flow_rows(5), "a/2": flow_rows(3)})
    with Shard(tmp_path / "s.h5") as shard, pytest.raises(IndexError, match="a/1"):
        shard.read(shard.videos["a/1"], rows)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_the_same_videos_give_the_same_file(tmp_path, stream):
    for name in ("1.h5", "2.h5"):
        with write_shard(tmp_path / name, stream, SIZE, FINGERPRINT, {"tsn": "1"}) as writer:
            writer.add("a/1", "a", jpegs(4) if stream == "rgb" else [flow_rows(4)])
            writer.quarantine("a/2", "a", "empty", "has no bytes in it")
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_a_video_that_fails_half_way_leaves_no_rows(tmp_path, stream):
    def blocks(count, seed, fails=False):
        yield from jpegs(count, seed) if stream == "rgb" else [flow_rows(count, seed)]
        if fails:
            raise RuntimeError

    with write_shard(tmp_path / "s.h5", stream, SIZE, {}, {}) as writer:
        writer.add("a/1", "a", blocks(2, 1))
        with pytest.raises(RuntimeError):
            writer.add("a/2", "a", blocks(9, 2, fails=True))
        writer.quarantine("a/2", "a", "unreadable", "reason")
        writer.add("a/3", "a", blocks(3, 3))
    with write_shard(tmp_path / "good.h5", stream, SIZE, {}, {}) as writer:
        writer.add("a/1", "a", blocks(2, 1))
        writer.add("a/3", "a", blocks(3, 3))
    found, good = content(tmp_path / "s.h5"), content(tmp_path / "good.h5")
    assert [(v.id, v.length, v.ok) for v in found[3]] == [
        ("a/1", 2, True),
        ("a/2", 0, False),
        ("a/3", 3, True),
    ]
    assert len(found[4]) == len(good[4]) == 2
    assert all(map(np.array_equal, found[4], good[4]))


def test_a_quarantined_video_keeps_its_reason(tmp_path):
    message = os.fsdecode(b"tab\t line\n \xff \xf0\x9f\x8e\xac")
    with write_shard(tmp_path / "s.h5", "flow", SIZE, {}, {}) as writer:
        writer.quarantine(message, message, "truncated", message)
    with Shard(tmp_path / "s.h5") as shard:
        video = shard.videos[message]
    assert (video.class_name, video.status, video.message) == (message, "truncated", message)
    assert (video.length, video.ok) == (0, False)


def test_the_clipped_share_is_the_mean_over_the_rows_of_one_video(tmp_path):
    def blocks(writer, shares):
        for share in shares:
            writer.count_clipped(share, 2)
            yield flow_rows(2)

    with write_shard(tmp_path / "s.h5", "flow", SIZE, {}, {}) as writer:
        writer.add("a/1", "a", blocks(writer, [0.5, 0.0, 0.1]))
        writer.add("a/2", "a", blocks(writer, [0.0]))
    with Shard(tmp_path / "s.h5") as shard:
        assert shard.videos["a/1"].clipped == pytest.approx(0.2)
        assert shard.videos["a/2"].clipped == 0


def test_a_shard_that_fails_is_not_there(tmp_path):
    with pytest.raises(RuntimeError), write_shard(tmp_path / "s.h5", "flow", SIZE, {}, {}):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_damage_in_the_rows_is_told_and_names_the_file(damaged, stream):
    told = damaged(stream, lambda size: range(size // 2, size // 2 + 2000, 100))
    assert len(told) == 20
    assert all("0000.h5: damaged on disk" in sentence for sentence in told)


@pytest.mark.parametrize("stream", ["rgb", "flow"])
def test_damage_anywhere_never_gives_other_content(damaged, stream):
    """Every 97th byte covers attributes, table, index of the chunks, and rows."""
    assert len(damaged(stream, lambda size: range(0, size, 397 if size > 30000 else 97))) > 30


@pytest.mark.parametrize("word", [b"a/0", b'"backend"'])
def test_damage_in_the_table_or_an_attribute_is_told(damaged, tmp_path, word):
    """The table begins with the id a/0; its class, first row and number of rows follow."""

    def neighbourhood(_size: int) -> range:
        start = (tmp_path / "0000.h5").read_bytes().index(word)
        return range(start, start + 20)

    assert len(damaged("flow", neighbourhood)) == 20


@pytest.mark.parametrize("data", [b"", b"not HDF5" * 100])
def test_another_file_is_no_shard(tmp_path, data):
    (tmp_path / "s.h5").write_bytes(data)
    with pytest.raises(UserError, match=r"s\.h5: damaged"):
        Shard(tmp_path / "s.h5")


def test_a_cut_file_is_no_shard(tmp_path):
    write_flow(tmp_path / "s.h5", {"a/1": flow_rows(5)})
    data = (tmp_path / "s.h5").read_bytes()
    (tmp_path / "s.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"s\.h5: damaged"):
        Shard(tmp_path / "s.h5")


def test_an_absent_shard_is_named(tmp_path):
    with pytest.raises(UserError, match=r"s\.h5: there is no such shard"):
        Shard(tmp_path / "s.h5")


def test_another_version_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tsn.shards.format.FORMAT_VERSION", 99)
    write_flow(tmp_path / "s.h5", {"a/1": flow_rows(1)})
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"s\.h5: shard format 99, this version reads 1"):
        Shard(tmp_path / "s.h5")


def test_a_shard_is_built_from_videos_and_goes_on_after_a_bad_one(tmp_path, write_video, images):
    good = write_video("good.mkv", images)
    (tmp_path / "bad.avi").write_bytes(b"not a video" * 100)
    videos = [
        Video("c/bad", str(tmp_path / "bad.avi"), "c"),
        Video("c/good", str(good), "c"),
        Video("c/missing", str(tmp_path / "missing.avi"), "c"),
    ]
    build_rgb_shard(tmp_path / "s.h5", videos, FramesConfig(SIZE, 95))
    with Shard(tmp_path / "s.h5") as shard:
        assert shard.fingerprint == {"size": list(SIZE), "jpeg_quality": 95}
        status = {video.id: video.status for video in shard.videos.values()}
        assert status == {"c/bad": "unreadable", "c/good": "ok", "c/missing": "missing"}
        assert "bad.avi" in shard.videos["c/bad"].message
        rows = shard.read(shard.videos["c/good"], range(12))
    decoded = np.stack(list(read_frames(good, SIZE)))
    assert shard.videos["c/good"].length == len(decoded) == 12
    assert np.abs(rows.astype(int) - decoded).mean() < 3  # JPEG quality 95


def test_a_video_above_the_limit_of_frames_is_quarantined(tmp_path, write_video, images):
    videos = [Video(name, str(write_video(f"{name}.mkv", images[:n])), "c")
              for name, n in (("short", 4), ("long", 5))]  # fmt: skip
    build_rgb_shard(tmp_path / "a.h5", videos, FramesConfig(SIZE, 95), max_frames=4)
    with Shard(tmp_path / "a.h5") as shard:
        assert [video.status for video in shard.videos.values()] == ["ok", "too_long"]
        assert "more than 4 frames" in shard.videos["long"].message


def test_a_full_disk_ends_a_shard_with_a_sentence_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "0000.h5"
    write_flow(path, {"a/1": flow_rows(3)})
    old = path.read_bytes()
    program = f"""
import resource, signal, numpy as np
from tsn.shards.format import write_shard
from tsn.runtime.errors import UserError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
rows = np.random.default_rng(1).integers(0, 256, (99, 2, 30, 40), dtype=np.uint8)
try:
    with write_shard({str(path)!r}, "flow", (40, 30), {{}}, {{}}) as writer:
        writer.add("a/1", "a", [rows])
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert f"{path}: could not be written (File too large)" in done.stdout, done.stderr
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_with_locks_in_the_way_is_no_hindrance(tmp_path):
    write_flow(tmp_path / "a.h5", {"a/1": flow_rows(3)})
    with (tmp_path / "a.h5").open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with Shard(tmp_path / "a.h5") as shard:
            assert shard.videos["a/1"].length == 3


def test_a_video_that_is_gone_or_replaced_since_the_index_is_taken_as_it_is(
    tmp_path, write_video, images
):
    videos = [Video(name, str(write_video(f"{name}.mkv", images)), "c") for name in "abc"]
    (tmp_path / "a.mkv").unlink()
    (tmp_path / "b.mkv").write_text("This is a shopping list.\n")
    build_rgb_shard(tmp_path / "0.h5", videos, FramesConfig(SIZE, 95))
    with Shard(tmp_path / "0.h5") as shard:
        found = {video.id: video.status for video in shard.videos.values()}
    assert found == {"a": "missing", "b": "unreadable", "c": "ok"}


@pytest.mark.parametrize(
    ("stream", "size"), [("depth", (8, 6)), ("flow", (0, 6)), ("rgb", (8, 99999))]
)
def test_a_shard_of_nothing_is_refused_before_it_is_written(tmp_path, stream, size):
    with (
        pytest.raises(ValueError, match="no shard holds"),
        write_shard(tmp_path / "0.h5", stream, size, {}, {}),
    ):
        pytest.fail("written in vain")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "fields",
    [np.zeros((1, 2, 6, 8)), np.zeros((1, 2, 8, 6), np.uint8), np.zeros((2, 6, 8), np.uint8)],
)
def test_only_quantised_fields_of_the_shards_size_are_taken(tmp_path, fields):
    with (
        pytest.raises(ValueError, match="flow fields must be uint8"),
        write_shard(tmp_path / "0.h5", "flow", (8, 6), {}, {}) as writer,
    ):
        writer.add("a", "c", [fields])


def test_an_index_is_an_integer(tmp_path):
    with write_shard(tmp_path / "0.h5", "flow", (8, 6), {}, {}) as writer:
        writer.add("a", "c", [np.zeros((3, 2, 6, 8), np.uint8)])
    with Shard(tmp_path / "0.h5") as shard, pytest.raises(TypeError):
        shard.read(shard.videos["a"], [0.5])
