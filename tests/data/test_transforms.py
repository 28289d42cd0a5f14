"""Crops, flips and snippet channels: the rules of tsn-pytorch, written out."""

import cv2
import numpy as np
import pytest
import torch

from tsn.data.transforms import (
    Crop,
    centre_crop,
    crop_offsets,
    crop_sizes,
    cut,
    cut_crops,
    mirror,
    random_crop,
    stack_snippets,
    test_crops,
)

test_crops.__test__ = False  # not a test case, whatever pytest thinks of the name

FRAME = (340, 256)


def noise(*shape, seed=1):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_rgb_crop_sizes_of_the_paper():
    """256, 224, 192 and 168 (int(256 * .66) = 168), neighbours only: Wang et al., section 3.2."""
    assert set(crop_sizes(FRAME, 224, (1, 0.875, 0.75, 0.66))) == {
        (256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192),
        (192, 168), (168, 192), (168, 168),
    }  # fmt: skip


def test_flow_crop_sizes_leave_out_the_smallest():
    sizes = crop_sizes(FRAME, 224, (1, 0.875, 0.75))
    assert len(sizes) == 7 and min(map(min, sizes)) == 192


@pytest.mark.parametrize(
    ("side", "expected"), [(221, 221), (222, 224), (223, 224), (226, 224), (227, 227)]
)
def test_sizes_less_than_three_pixels_from_the_input_snap_to_it(side, expected):
    scale = (side + 0.5) / 256
    assert crop_sizes(FRAME, 224, (scale,)) == [(expected, expected)]


def test_sizes_follow_the_shorter_side_and_snap_to_the_side_of_the_input():
    """int(128 * .86) = 110 and int(128 * .75) = 96, for a network of 112 px."""
    for frame in ((170, 128), (128, 170)):
        assert set(crop_sizes(frame, 112, (0.86, 0.75))) == {
            (112, 112), (112, 96), (96, 112), (96, 96),
        }  # fmt: skip


def test_the_thirteen_offsets_of_a_224_crop():
    """Steps of (340 - 224) // 4 = 29 and (256 - 224) // 4 = 8."""
    assert sorted(crop_offsets(FRAME, (224, 224))) == sorted([
        (0, 0), (116, 0), (0, 32), (116, 32),  # corners
        (58, 16),  # centre
        (0, 16), (116, 16), (58, 32), (58, 0),  # edge midpoints
        (29, 8), (87, 8), (29, 24), (87, 24),  # quarter points
    ])  # fmt: skip


def test_offsets_of_a_crop_that_does_not_divide_evenly():
    """171 / 4 and 63 / 4 are rounded down first: the last offset is 3 px from the edge."""
    offsets = crop_offsets(FRAME, (169, 193))
    assert {x for x, _ in offsets} == {0, 42, 84, 126, 168}
    assert {y for _, y in offsets} == {0, 15, 30, 45, 60}


def test_training_crops_take_every_size_every_offset_and_both_sides():
    rng = np.random.default_rng(2)
    crops = {random_crop(FRAME, 224, (1, 0.875, 0.75, 0.66), True, rng) for _ in range(6000)}
    expected = {
        Crop(x, y, *size, flip)
        for size in crop_sizes(FRAME, 224, (1, 0.875, 0.75, 0.66))
        for x, y in crop_offsets(FRAME, size)
        for flip in (False, True)
    }
    assert crops == expected


def test_half_of_the_crops_are_flipped_or_none():
    rng = np.random.default_rng(2)
    flips = [random_crop(FRAME, 224, (1,), True, rng).flip for _ in range(1000)]
    assert 440 < sum(flips) < 560
    assert not any(random_crop(FRAME, 224, (1,), False, rng).flip for _ in range(100))


def test_ten_crops_are_corners_and_centre_and_their_mirror_images():
    places = {(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)}
    crops = test_crops(FRAME, 224, 10)
    assert len(crops) == 10
    for flip in (False, True):
        assert {(c.x, c.y) for c in crops if c.flip is flip} == places
    assert all((c.width, c.height) == (224, 224) for c in crops)


def test_five_crops_are_not_flipped_and_one_is_the_centre():
    assert test_crops(FRAME, 224, 5) == [c for c in test_crops(FRAME, 224, 10) if not c.flip]
    assert test_crops(FRAME, 224, 1) == [Crop(58, 16, 224, 224)]


def test_a_crop_of_the_input_size_is_cut_at_the_same_place_of_all_images():
    images = noise(3, 20, 30, 2)
    assert np.array_equal(cut(images, Crop(4, 6, 10, 10), 10), images[:, 6:16, 4:14])


@pytest.mark.parametrize("channels", [2, 3])
def test_another_size_is_resized_bilinearly(channels):
    images = noise(2, 20, 30, channels)
    found = cut(images, Crop(4, 6, 12, 8), 10)
    for image, source in zip(found, images, strict=True):
        for channel in range(channels):
            plane = np.ascontiguousarray(source[6:14, 4:16, channel])
            expected = cv2.resize(plane, (10, 10), interpolation=cv2.INTER_LINEAR)
            assert np.array_equal(image[..., channel], expected)


def tensor(*shape):
    return torch.from_numpy(noise(*shape))


def test_a_mirrored_picture_runs_backwards():
    images = tensor(2, 3, 4, 5)
    assert np.array_equal(mirror(images, flow=False), images.numpy()[..., ::-1])


def test_mirrored_flow_turns_x_into_255_minus_x_and_leaves_y():
    """dense_flow's 128 for no motion becomes 127, as in tsn-pytorch."""
    images = tensor(2, 4, 4, 5)
    mirrored = mirror(images, flow=True).numpy()
    backwards = images.numpy()[..., ::-1]
    assert np.array_equal(mirrored[:, 0::2], 255 - backwards[:, 0::2])
    assert np.array_equal(mirrored[:, 1::2], backwards[:, 1::2])


@pytest.mark.parametrize("flow", [False, True])
def test_mirroring_twice_changes_nothing_and_the_original_is_kept(flow):
    images = tensor(2, 2, 4, 5)
    before = images.clone()
    assert torch.equal(mirror(mirror(images, flow), flow), images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("flow", [False, True])
def test_test_crops_are_cut_crop_after_crop_and_mirrored_where_they_say_so(flow):
    snippets = tensor(3, 2, 20, 30)
    crops = [Crop(3, 2, 12, 10), Crop(0, 0, 12, 10), Crop(3, 2, 12, 10, flip=True)]
    found = cut_crops(snippets, crops, flow)
    assert found.shape == (9, 2, 10, 12)
    assert torch.equal(found[:3], snippets[:, :, 2:12, 3:15])
    assert torch.equal(found[3:6], snippets[:, :, 0:10, 0:12])
    assert torch.equal(found[6:], mirror(found[:3], flow))


def test_planes_are_resized_as_channels_are():
    images = noise(3, 20, 30, 2)
    planes = images.transpose(0, 3, 1, 2).reshape(6, 20, 30)
    found = cut(planes, Crop(4, 6, 12, 8), 10).reshape(3, 2, 10, 10)
    assert np.array_equal(found, cut(images, Crop(4, 6, 12, 8), 10).transpose(0, 3, 1, 2))


def test_flow_channels_are_x_y_x_y():
    rows = noise(10, 2, 4, 6)  # two snippets of five rows
    snippets = stack_snippets(rows.reshape(2, 10, 4, 6), "flow")
    assert snippets.shape == (2, 10, 4, 6) and snippets.dtype == np.uint8
    for t in range(10):
        for axis in range(2):
            assert np.array_equal(snippets[t // 5, 2 * (t % 5) + axis], rows[t, axis])


def test_rgb_difference_is_the_later_frame_minus_the_earlier():
    rows = np.zeros((12, 4, 6, 3), np.uint8)
    rows[7] = 255  # of the second snippet
    rows[9, ..., 2] = 9
    snippets = stack_snippets([rows[:6], rows[6:]], "rgb_diff")
    assert snippets.shape == (2, 15, 4, 6) and snippets.dtype == np.int16
    changes = [255, 255, 255, -255, -255, -255, 0, 0, 9, 0, 0, -9, 0, 0, 0]
    assert snippets[1, :, 0, 0].tolist() == changes and not snippets[0].any()


def test_rgb_snippets_are_their_frames():
    frames = noise(2, 4, 6, 3)
    assert np.array_equal(stack_snippets(frames[:, None], "rgb"), frames.transpose(0, 3, 1, 2))


def test_validation_looks_at_the_centre():
    """224 px of 256 (tsn-pytorch), whatever the size of the frame."""
    assert centre_crop(FRAME) == Crop(58, 16, 224, 224)
    assert centre_crop((170, 128)) == Crop(29, 8, 112, 112)
