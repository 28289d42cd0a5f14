"""Strips of clips: which videos are chosen, and what a strip shows."""

import cv2
import numpy as np
import pytest

from tsn.datasets.index import read_index
from tsn.datasets.records import Video
from tsn.report.clips import choose, draw_clips, draw_strip, read_strips
from tsn.runtime.errors import UserError
from tsn.shards.format import write_shard
from tsn.shards.jpeg import encode_jpeg
from tsn.shards.store import ShardSet

SIZE = (340, 256)


def video(label: int, number: int) -> Video:
    return Video(f"c{label:03}/{number}", "path", f"c{label:03}", label, {1: "test"})


def test_clips_come_from_classes_spread_over_all_of_them():
    videos = [video(label, n) for label in range(101) for n in range(3)]
    chosen = choose(videos, lambda _: True, 5)
    assert [(v.label, v.id[-1]) for v in chosen] == [(n, "0") for n in (0, 25, 50, 75, 100)]


def test_few_classes_give_several_clips_each():
    videos = [video(label, n) for label in range(2) for n in range(5)]
    assert [v.id for v in choose(videos, lambda _: True, 5)] == [
        *("c000/0", "c000/1", "c000/2"),
        *("c001/0", "c001/1"),
    ]


def test_a_video_that_a_stream_lacks_is_not_shown():
    videos = [video(0, n) for n in range(3)]
    assert [v.id for v in choose(videos, lambda name: name != "c000/0", 1)] == ["c000/1"]
    assert choose(videos, lambda _: False) == []


@pytest.fixture
def stores(tmp_path):
    """Video "a": 9 grey frames that brighten; flow to the right, warped flow half as fast."""
    rows = {
        "rgb": [encode_jpeg(np.full((256, 340, 3), 20 * n, np.uint8), 95) for n in range(9)],
        "flow": [np.tile(np.uint8([255, 128])[:, None, None], (8, 1, 256, 340))],
        "warped_flow": [np.tile(np.uint8([191, 128])[:, None, None], (8, 1, 256, 340))],
    }
    found = {}
    for stream, data in rows.items():
        with write_shard(tmp_path / f"{stream}.h5", stream, SIZE, {"bound": 20}, {}) as writer:
            writer.add("a", "c", data)
        found[stream] = ShardSet([tmp_path / f"{stream}.h5"])
    return found


def cells(strip: np.ndarray, rows: int, columns: int = 5) -> np.ndarray:
    """Colour of the middle of every cell, (rows, columns, 3)."""
    height, width = (side / n for side, n in zip(strip.shape, (rows, columns), strict=False))
    down = [int((n + 0.5) * height) for n in range(rows)]
    across = [int((n + 0.5) * width) for n in range(columns)]
    return strip[np.ix_(down, across)]


def test_a_strip_shows_frames_and_the_flow_that_follows_them(stores):
    strip, scale = draw_strip(stores, "a")
    middle = cells(strip, 3).astype(int)
    # Moments spread over the 8 pairs: 0, 1.75, 3.5, 5.25, 7, rounded to even.
    assert np.abs(middle[0, :, 0] - [0, 40, 80, 100, 140]).max() <= 2
    # Middlebury's wheel: to the right is red, and half the motion has half the saturation.
    assert np.abs(middle[1] - [255, 0, 0]).max() <= 4
    assert np.abs(middle[2] - [255, 127, 127]).max() <= 4
    assert scale == pytest.approx(20, abs=0.1)


def test_a_strip_without_frames_or_without_flow_is_drawn_too(stores):
    assert draw_strip({"flow": stores["flow"]}, "a")[0].shape[1] == 5 * 190 + 4 * 4
    strip, _ = draw_strip({"rgb": stores["rgb"]}, "a")
    assert abs(int(cells(strip, 1)[0, 4, 0]) - 160) <= 2  # the last frame: no pair ends there


def test_the_folder_names_what_it_shows(tiny_set, tmp_path):
    index = read_index(tiny_set.index)
    shards = [tiny_set.shards["rgb"]]
    draw_clips(tmp_path / "clips", index, 1, shards)
    clips = read_strips(tmp_path / "clips")
    assert [(c.file, c.id, c.class_name) for c in clips] == [
        ("1.red.jpg", "red/4", "red"),
        ("2.red.jpg", "red/5", "red"),
        ("3.blue.jpg", "blue/4", "blue"),
        ("4.blue.jpg", "blue/5", "blue"),
    ]
    assert all(clip.streams == ("rgb",) for clip in clips)
    strip = cv2.imread(str(tmp_path / "clips" / clips[2].file))
    blue, _, red = cells(strip, 1)[0, 0]
    assert int(blue) > int(red)


def test_no_stream_is_told(tiny_set, tmp_path):
    with pytest.raises(UserError, match="there is no stream to show"):
        draw_clips(tmp_path / "clips", read_index(tiny_set.index), 1, [])
