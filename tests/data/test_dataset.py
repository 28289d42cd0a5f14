"""Snippets as tensors, and micro-batches that can go on from anywhere."""

import numpy as np
import pytest
import torch

from tsn.config.schema import TestConfig
from tsn.data.dataset import CentreSnippets, TestSnippets, TrainingSnippets
from tsn.data.sampling import centre_starts
from tsn.data.transforms import Crop, mirrored_labels
from tsn.datasets.index import members, read_index
from tsn.runtime.errors import UserError
from tsn.shards.store import ShardSet


def for_training(
    tiny, make_job, modality="rgb", seed=1, stream=None, videos=None, mirrored=None, **recipe
):
    stream = stream or ("flow" if modality == "flow" else "rgb")
    return TrainingSnippets(
        ShardSet(tiny.shards[stream]),
        videos or members(read_index(tiny.index), 1, "train"),
        modality,
        make_job(**recipe).recipe,
        32,
        seed,
        mirrored,
    )


def for_test(
    tiny,
    modality="rgb",
    segments=3,
    crops=10,
    crop_size=32,
    side=32,
    snippet_sampling="segment_centres",
):
    stream = "flow" if modality == "flow" else "rgb"
    return TestSnippets(
        ShardSet(tiny.shards[stream]),
        members(read_index(tiny.index), 1, "test"),
        modality,
        TestConfig(segments, crops, crop_size, snippet_sampling),
        side,
    )


@pytest.mark.parametrize(
    ("modality", "channels", "dtype"),
    [("rgb", 3, torch.uint8), ("flow", 10, torch.uint8), ("rgb_diff", 15, torch.int16)],
)
def test_an_item_is_k_snippets_and_a_label(tiny_set, make_job, modality, channels, dtype):
    data = for_training(tiny_set, make_job, modality, segments=3)
    clips, label = data[0, 0]
    assert clips.shape == (3, channels, 32, 32) and clips.dtype == dtype
    assert label == data.videos[0].label


def test_an_item_depends_on_seed_epoch_and_id_but_not_on_the_other_videos(tiny_set, make_job):
    data = for_training(tiny_set, make_job)
    alone = for_training(tiny_set, make_job, videos=data.videos[3:4])
    assert torch.equal(data[5, 3][0], data[5, 3][0])
    assert torch.equal(data[5, 3][0], alone[5, 0][0])
    assert not torch.equal(data[5, 3][0], data[6, 3][0])
    assert not torch.equal(data[5, 3][0], for_training(tiny_set, make_job, seed=2)[5, 3][0])


@pytest.mark.parametrize(("modality", "channels"), [("rgb", 3), ("flow", 6), ("rgb_diff", 9)])
def test_snippets_may_have_another_length(tiny_set, make_job, modality, channels):
    stream = "flow" if modality == "flow" else "rgb"
    store = ShardSet(tiny_set.shards[stream])
    videos = members(read_index(tiny_set.index), 1, "test")
    data = TestSnippets(store, videos, modality, TestConfig(4, 1, 32, "caffe"), 32, (), 3)
    assert data[0].shape == (4, channels, 48, 64)
    centres = CentreSnippets(store, videos, modality, 2, 32, snippet_length=3)
    assert centres[0][0].shape == (2, channels, 32, 32)


def test_mirroring_exchanges_the_labels_of_classes_that_it_exchanges(tiny_set, make_job):
    plain = for_training(tiny_set, make_job)
    labels = mirrored_labels({"red": "blue"}, ("red", "blue"))
    exchanged = for_training(tiny_set, make_job, flip={"swap": {"red": "blue"}}, mirrored=labels)
    mirrored = 0
    for draw in range(4):
        (image, label), (same, other) = plain[draw, 0], exchanged[draw, 0]
        flipped = not torch.equal(image, for_training(tiny_set, make_job, flip=False)[draw, 0][0])
        mirrored += flipped
        assert torch.equal(image, same) and other == (1 - label if flipped else label)
    assert 0 < mirrored < 4


def test_no_two_items_draw_alike(tiny_set, make_job, monkeypatch):
    """Another seed, epoch or video is another random stream, also where their sums are equal."""
    drawn = []

    def draw(rows, length, segments, rng):
        drawn.append(int(rng.integers(1 << 62)))
        return np.zeros(segments, int)

    monkeypatch.setattr("tsn.data.dataset.train_starts", draw)
    for seed in (1, 2):
        data = for_training(tiny_set, make_job, seed=seed)
        for epoch in range(3):
            for number in range(len(data)):
                data[epoch, number]
    assert len(set(drawn)) == len(drawn) == 2 * 3 * 8


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("modality", "rows", "length"), [("rgb", 9, 1), ("flow", 8, 5)])
def test_an_item_is_what_was_drawn(
    make_tiny_set, make_job, monkeypatch, modality, rows, length, flip
):
    """Its rows, cut at the drawn place and mirrored if drawn so; beside a quarantined video, which
    has no rows."""
    asked = []

    def draw_starts(*about):
        asked.append(about[:-1])
        return np.array([3, 0])

    def draw_crop(*about):
        asked.append(about[:-1])
        return Crop(11, 5, 32, 32, flip)

    monkeypatch.setattr("tsn.data.dataset.train_starts", draw_starts)
    monkeypatch.setattr("tsn.data.dataset.random_crop", draw_crop)
    tiny = make_tiny_set(bad=("blue/0",))
    data = for_training(tiny, make_job, modality, segments=2, flip=flip, crop_scales=(1.0, 0.5))
    clips, *_ = [data[0, number][0] for number in range(len(data))]
    assert asked == 7 * [(rows, length, 2), ((64, 48), 32, (1.0, 0.5), flip)]
    stored = ShardSet(tiny.shards[modality]).read(data.videos[0].id, range(rows)).astype(int)
    for clip, start in zip(clips, (3, 0), strict=True):
        part = stored[start : start + length, 5:37, 11:43]
        part = part[:, :, ::-1] if flip else part
        for t in range(length):
            for n in range(stored.shape[-1]):
                inverted = flip and modality == "flow" and n == 0  # x, and y stays
                expected = 255 - part[t, ..., n] if inverted else part[t, ..., n]
                assert np.array_equal(clip[t * stored.shape[-1] + n], expected)


def test_labels_are_those_of_the_index(tiny_set, make_job):
    data = for_training(tiny_set, make_job)
    centres = CentreSnippets(ShardSet(tiny_set.shards["rgb"]), data.videos, "rgb", 1, 32)
    expected = [video.label for video in data.videos]
    assert [data[0, n][1] for n in range(8)] == [centres[n][1] for n in range(8)] == expected
    assert sorted(expected) == [0] * 4 + [1] * 4


def test_one_crop_serves_all_snippets_of_a_video(make_tiny_set, make_job):
    """A video of one frame has equal snippets if, and only if, they are cropped alike."""
    tiny = make_tiny_set(train=1, test=1, frames=2)
    data = for_training(tiny, make_job, "rgb_diff", segments=4)
    for epoch in range(10):
        clips, _ = data[epoch, 0]
        assert all(torch.equal(clips[0], clip) for clip in clips[1:])


def test_a_video_shorter_than_a_snippet_repeats_its_last_row(make_tiny_set, make_job):
    tiny = make_tiny_set(train=1, test=1, frames=3)
    flow = for_training(tiny, make_job, "flow")[0, 0][0]
    assert torch.equal(flow[:, 2:4], flow[:, 8:10]) and not torch.equal(flow[:, :2], flow[:, 2:4])
    difference = for_training(tiny, make_job, "rgb_diff")[0, 0][0]
    assert difference[:, 6:].abs().max() == 0 and difference[:, :6].abs().max() > 0


def test_quarantined_videos_are_left_out(make_tiny_set, make_job):
    tiny = make_tiny_set(bad=("red/0", "red/4"))
    assert "red/0" not in [video.id for video in for_training(tiny, make_job).videos]
    assert len(for_training(tiny, make_job)) == 7
    assert len(for_test(tiny)) == 3


def test_the_wrong_stream_is_refused(tiny_set, make_job):
    with pytest.raises(UserError, match="rgb_diff needs rgb shards, got flow"):
        for_training(tiny_set, make_job, "rgb_diff", stream="flow")


def crops_of(data, number=0):
    """All crops of a test item, channels last."""
    crops = data.cut(data[number])
    assert len(crops) == data.counts[number] * data.crops_per_snippet
    return crops.numpy().transpose(0, 2, 3, 1)


def test_a_test_item_gives_all_crops_of_all_segments(tiny_set):
    """Crop by crop, its snippets in order: corners 0, 32 of 64 px and 0, 16 of 48 px."""
    data = for_test(tiny_set)
    video = data.videos[0]
    store = ShardSet(tiny_set.shards["rgb"])
    frames = store.read(video.id, centre_starts(9, 1, 3))
    places = [(0, 0), (32, 0), (0, 16), (32, 16), (16, 8)]
    plain = [frames[:, y : y + 32, x : x + 32] for x, y in places]
    expected = np.concatenate([*plain, *(cut[:, :, ::-1] for cut in plain)])
    assert np.array_equal(crops_of(data), expected)


@pytest.mark.parametrize(
    ("sampling", "starts"), [("segment_centres", [0, 2, 3]), ("caffe", [0, 1, 2])]
)
def test_a_test_item_holds_the_snippets_of_its_sampling(tiny_set, sampling, starts):
    """8 rows of flow are 4 starts: t = 4 / 3, or a step of 3 // 2."""
    data = for_test(tiny_set, "flow", snippet_sampling=sampling)
    rows = ShardSet(tiny_set.shards["flow"]).read(data.videos[0].id, range(8))
    for snippet, start in zip(data[0], starts, strict=True):
        expected = rows[start : start + 5].transpose(0, 3, 1, 2).reshape(10, 48, 64)
        assert np.array_equal(snippet, expected)


def test_flipped_test_crops_of_flow_have_inverted_x(tiny_set):
    crops = crops_of(for_test(tiny_set, "flow"))
    assert crops.shape == (30, 32, 32, 10)
    assert np.array_equal(crops[15:, ..., 0::2], 255 - crops[:15, :, ::-1, 0::2])
    assert np.array_equal(crops[15:, ..., 1::2], crops[:15, :, ::-1, 1::2])
    assert abs(crops[:15, ..., 0::2].mean() + crops[15:, ..., 0::2].mean() - 255) < 1e-3


@pytest.mark.parametrize("crop_size", [48, 24])
def test_the_frame_is_scaled_so_that_a_crop_becomes_the_input(tiny_set, crop_size):
    """All of a 48 px high frame in 32 px; or half of it, seen twice as large."""
    import cv2

    data = for_test(tiny_set, segments=1, crops=1, crop_size=crop_size)
    frame = ShardSet(tiny_set.shards["rgb"]).read(data.videos[0].id, centre_starts(9, 1, 1))[0]
    scale = 32 / crop_size
    width, height = round(64 * scale), round(48 * scale)
    scaled = cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR)
    x, y = (width - 32) // 2, (height - 32) // 2
    assert np.array_equal(crops_of(data)[0], scaled[y : y + 32, x : x + 32])


def test_validation_sees_the_centre_of_each_segment_and_of_the_frame(tiny_set):
    videos = members(read_index(tiny_set.index), 1, "train")
    store = ShardSet(tiny_set.shards["flow"])
    clips, label = CentreSnippets(store, videos, "flow", 3, 42)[5]
    assert label == videos[5].label and clips.shape == (3, 10, 42, 42)
    rows = store.read(videos[5].id, range(8))[:, 3:45, 11:53]  # 42 = 48 * 224 / 256 px
    for snippet, start in zip(clips, centre_starts(8, 5, 3), strict=True):
        expected = rows[start : start + 5].transpose(0, 3, 1, 2).reshape(10, 42, 42)
        assert np.array_equal(snippet, expected)
