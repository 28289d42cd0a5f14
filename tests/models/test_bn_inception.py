import pytest
import torch
from torch import nn

from tsn.models.bn_inception import BLOCKS, BNInception


@pytest.fixture(scope="module")
def net():
    return BNInception().eval()


def parameters_of(net):
    return sum(parameter.numel() for parameter in net.parameters())


def test_the_imagenet_model_has_the_published_number_of_parameters(net):
    # pretrainedmodels' bninception.
    assert parameters_of(net) == 11_295_240


@torch.inference_mode()
def test_every_block_has_the_published_shape(net):
    # Layer sizes of the Caffe model (bn_inception deploy.prototxt) for a 224 px image.
    x = net.stem(torch.zeros(1, 3, 224, 224))
    assert x.shape == (1, 192, 28, 28)
    expected = {
        "3a": (256, 28), "3b": (320, 28), "3c": (576, 14), "4a": (576, 14), "4b": (576, 14),
        "4c": (608, 14), "4d": (608, 14), "4e": (1056, 7), "5a": (1024, 7), "5b": (1024, 7),
    }  # fmt: skip
    for block in BLOCKS:
        x = net.block(block, x)
        channels, size = expected.pop(block.name)
        assert x.shape == (1, channels, size, size), block.name
    assert not expected


def test_layers_have_the_names_and_shapes_of_the_converted_file(net):
    # Keys of pretrainedmodels' bn_inception-239d2248.pth.
    state = net.state_dict()
    for key, shape in {
        "conv1_7x7_s2.weight": (64, 3, 7, 7),
        "conv1_7x7_s2.bias": (64,),
        "conv1_7x7_s2_bn.running_var": (64,),
        "conv2_3x3_reduce.weight": (64, 64, 1, 1),
        "inception_3a_1x1_bn.running_mean": (64,),
        "inception_3c_double_3x3_2.weight": (96, 96, 3, 3),
        "inception_4d_pool_proj.weight": (128, 608, 1, 1),
        "inception_5b_double_3x3_reduce.weight": (192, 1024, 1, 1),
        "last_linear.weight": (1000, 1024),
    }.items():
        assert state[key].shape == shape, key
    # 69 convolutions with weight and bias, 69 BN layers with five tensors, one classifier.
    assert len(state) == 69 * 2 + 69 * 5 + 2


def test_batch_normalisation_has_caffes_constants(net):
    layers = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(layer.eps, layer.momentum) for layer in layers} == {(1e-5, 0.1)}


@pytest.mark.parametrize(
    ("name", "inputs", "corner", "edge"),
    [
        # Caffe's average counts the padding: 4 and 6 of 9 values at a corner and an edge.
        ("3a", 192, 4 / 9, 6 / 9),
        ("5a", 1056, 4 / 9, 6 / 9),
        # The last block pools by maximum.
        ("5b", 1024, 1.0, 1.0),
    ],
)
@torch.inference_mode()
def test_pooling_branches_treat_the_border_as_caffe_does(name, inputs, corner, edge):
    torch.manual_seed(0)
    net = BNInception(num_classes=1).eval()
    projection = net.get_submodule(f"inception_{name}_pool_proj")
    projection.weight.zero_()
    projection.weight[:, 0] = 1
    projection.bias.zero_()
    block = next(block for block in BLOCKS if block.name == name)
    pooled = net.block(block, torch.ones(1, inputs, 3, 3))[0, -1]
    expected = [[corner, edge, corner], [edge, 1, edge], [corner, edge, corner]]
    assert torch.allclose(pooled, torch.tensor(expected), atol=1e-4)


@torch.inference_mode()
def test_units_are_rectified_and_blocks_that_halve_pass_their_input_on():
    torch.manual_seed(0)
    net = BNInception(num_classes=1).eval()
    block = next(block for block in BLOCKS if block.name == "3c")
    x = torch.rand(1, 320, 6, 6)
    y = net.block(block, x)
    assert y.shape == (1, 576, 3, 3)
    assert (y >= 0).all()
    assert y[0, 256:, 0, 0].equal(x[0, :, :3, :3].amax((1, 2)))
    # Ceil mode: the last window holds the last two rows and columns.
    assert y[0, 256:, 2, 2].equal(x[0, :, 4:, 4:].amax((1, 2)))
