from dataclasses import replace

import pytest
import torch

from tsn.models.preprocessing import (
    CAFFE,
    CAFFE_VGG,
    IMAGENET,
    TENSORFLOW_LITE,
    UNIT,
    for_modality,
    preprocessing_from,
)
from tsn.runtime.errors import UserError


def pixel(*values):
    return torch.tensor(values, dtype=torch.uint8).view(1, -1, 1, 1)


def normalised(modality, base, x):
    return for_modality(modality, base)(x).flatten()


def test_caffe_weights_get_bgr_minus_their_mean():
    # tsn-pytorch: mean [104, 117, 128] in BGR order, std 1, 0..255.
    values = normalised("rgb", CAFFE, pixel(138, 127, 114))
    assert values.tolist() == [10.0, 10.0, 10.0]
    assert normalised("rgb", CAFFE, pixel(255, 0, 0)).tolist() == [-104.0, -117.0, 127.0]


def test_vgg_of_caffe_gets_bgr_minus_the_mean_pixel_of_imagenet():
    # Chatfield et al. 2014: 103.939, 116.779, 123.68 in BGR order.
    values = normalised("rgb", CAFFE_VGG, pixel(255, 0, 0)).tolist()
    assert values == pytest.approx([-103.939, -116.779, 131.32])


def test_weights_of_flow_and_differences_may_say_otherwise():
    base = replace(IMAGENET, flow_mean=127.5, flow_std=0.5, difference_std=(1.0, 2.0, 4.0))
    assert normalised("flow", base, pixel(255, 0)).tolist() == pytest.approx([1, -1])
    assert normalised("rgb_diff", base, pixel(255, 255, 255)).tolist() == [1, 0.5, 0.25]


def test_torchvision_weights_get_rgb_with_imagenet_mean_and_std():
    # (v / 255 - mean) / std, torchvision's ImageClassification preset.
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (51 / 255 - 0.406) / 0.225]
    assert normalised("rgb", IMAGENET, pixel(255, 0, 51)).tolist() == pytest.approx(expected)


def test_unit_weights_get_minus_one_to_one():
    assert normalised("rgb", UNIT, pixel(0, 255, 255)).tolist() == pytest.approx([-1, 1, 1])


def test_tensorflow_lite_weights_get_values_around_zero():
    values = normalised("rgb", TENSORFLOW_LITE, pixel(127, 255, 0)).tolist()
    assert values == pytest.approx([0, 1, -127 / 128])


@pytest.mark.parametrize("base", [CAFFE, IMAGENET, TENSORFLOW_LITE, UNIT])
@pytest.mark.parametrize("modality", ["flow", "warped_flow"])
def test_zero_motion_becomes_exactly_zero(modality, base):
    assert not normalised(modality, base, pixel(*[128] * 10)).any()


@pytest.mark.parametrize(
    ("base", "gain"),
    [
        (CAFFE, 1.0),
        # tsn-pytorch: the mean of the RGB std, on the 0..1 scale.
        (IMAGENET, 1 / 255 / ((0.229 + 0.224 + 0.225) / 3)),
        (TENSORFLOW_LITE, 1 / 128),
    ],
)
def test_flow_is_scaled_like_an_average_colour_and_keeps_its_channel_order(base, gain):
    values = normalised("flow", base, pixel(128 + 10, 128 - 20, 128 + 30, 128)).tolist()
    assert values == pytest.approx([10 * gain, -20 * gain, 30 * gain, 0], rel=1e-6)


def test_differences_lose_no_mean_and_follow_the_colour_order_frame_by_frame():
    x = torch.tensor([1.0, 2.0, 3.0, -255.0, 0.0, 255.0]).view(1, 6, 1, 1)
    assert normalised("rgb_diff", CAFFE, x).tolist() == [3, 2, 1, 255, 0, -255]
    std = [0.229, 0.224, 0.225] * 2
    expected = [v / 255 / s for v, s in zip(x.flatten().tolist(), std, strict=True)]
    assert normalised("rgb_diff", IMAGENET, x).tolist() == pytest.approx(expected)


def test_the_input_is_left_as_it_was():
    x = torch.full((1, 3, 2, 2), 7.0)
    for_modality("rgb", CAFFE)(x)
    assert (x == 7).all()


def test_the_normalisation_is_saved_with_the_model():
    saved = for_modality("rgb", CAFFE).state_dict()
    module = for_modality("rgb", IMAGENET)
    module.load_state_dict(saved)
    assert module(pixel(138, 127, 114)).flatten().tolist() == [10.0, 10.0, 10.0]


@pytest.mark.parametrize("base", [CAFFE, IMAGENET])
@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_the_input_of_weights_is_found_again_in_a_saved_normalisation(modality, base):
    module = for_modality(modality, base)
    again = for_modality(modality, preprocessing_from(module.state_dict(), modality))
    x = torch.arange(12.0).view(1, 12, 1, 1)
    assert torch.allclose(again(x), module(x), rtol=1e-6, atol=1e-6)


def test_an_unknown_modality_is_refused():
    with pytest.raises(UserError, match="'RGB'"):
        for_modality("RGB", CAFFE)
