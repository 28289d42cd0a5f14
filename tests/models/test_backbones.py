import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from tsn.models import own_models
from tsn.models.architecture import remove_classifier
from tsn.models.backbones import build_backbone, find_architecture
from tsn.models.bn_inception import BNInception
from tsn.models.names import OWN, torchvision_names
from tsn.models.preprocessing import CAFFE, CAFFE_VGG, IMAGENET, TENSORFLOW_LITE, UNIT
from tsn.runtime.errors import UserError


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("bn_inception", 1024),
        ("efficientnet_lite0", 1280),
        ("resnet18", 512),
        ("mobilenet_v3_small", 1024),
    ],
)
@torch.inference_mode()
def test_a_backbone_maps_images_to_features(name, features):
    backbone = build_backbone(name, "none")
    assert (backbone.name, backbone.features) == (name, features)
    assert backbone.net.eval()(torch.zeros(2, 3, 64, 64)).shape == (2, features)


def test_the_packaged_imagenet_weights_need_no_network():
    net = build_backbone("efficientnet_lite0", "imagenet").net
    # First value of _bn0.running_var in the package's file, which no random start has.
    assert net._bn0.running_var[0].item() != 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bn_inception", CAFFE),
        ("clarifai", CAFFE_VGG),
        ("efficientnet_lite0", TENSORFLOW_LITE),
        ("resnet18", IMAGENET),
        # With transform_input off, weights from TensorFlow expect -1..1.
        ("googlenet", UNIT),
        ("inception_v3", UNIT),
        # torchvision's preset of these weights has mean and std .5.
        ("efficientnet_v2_l", UNIT),
    ],
)
def test_preprocessing_goes_with_the_weights(name, expected):
    assert find_architecture(name).preprocessing == expected


def test_unit_preprocessing_is_imagenets_followed_by_transform_input():
    net = torchvision.models.GoogLeNet(transform_input=True, aux_logits=False, init_weights=False)
    image = torch.rand(1, 3, 2, 2)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
    expected = net._transform_input((image - mean) / std)
    assert torch.allclose((image - 0.5) / 0.5, expected, atol=1e-6)


def test_a_dropout_right_before_the_classifier_goes_with_it():
    modules = build_backbone("mobilenet_v3_small", "none").net.modules()
    assert not any(isinstance(module, nn.Dropout) for module in modules)


def test_dropout_deeper_in_the_network_stays(monkeypatch):
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda tensor, **kwargs: tensor)
    modules = build_backbone("alexnet", "none").net.modules()
    assert sum(isinstance(module, nn.Dropout) for module in modules) == 2


def test_auxiliary_heads_and_transform_input_are_off(monkeypatch):
    monkeypatch.setattr(nn.init, "trunc_normal_", lambda tensor, *args, **kwargs: tensor)
    net = build_backbone("googlenet", "none").net
    assert not net.transform_input
    assert net.aux1 is None
    assert net.train()(torch.zeros(2, 3, 64, 64)).shape == (2, 1024)


def test_an_unknown_name_gets_the_closest_ones():
    with pytest.raises(UserError, match=r"'resnet-18': did you mean .*resnet18"):
        build_backbone("resnet-18", "none")


def test_squeezenets_classifier_is_its_last_convolution():
    backbone = build_backbone("squeezenet1_1", "none")
    assert backbone.features == 512
    assert not any(isinstance(module, nn.Dropout) for module in backbone.net.modules())


def test_a_network_without_classifier_is_refused():
    with pytest.raises(UserError, match=r"Sequential has no linear classifier"):
        remove_classifier(nn.Sequential(nn.Conv2d(3, 2, 3)))


def test_names_are_read_without_importing_what_they_name():
    assert tuple(own_models.ARCHITECTURES) == OWN
    registered = torchvision.models.list_models(module=torchvision.models)
    assert sorted(torchvision_names()) == sorted(registered)


def test_a_local_file_may_have_any_classifier(tmp_path):
    torch.manual_seed(0)
    source = torchvision.models.resnet18(num_classes=7)
    torch.save(source.state_dict(), tmp_path / "mine.pt")
    net = build_backbone("resnet18", str(tmp_path / "mine.pt")).net
    assert net.layer4[1].conv2.weight.equal(source.layer4[1].conv2.weight)


@pytest.mark.parametrize("classifier", ["last_linear", "fc"])
def test_both_public_forms_of_bn_inception_load(tmp_path, classifier):
    # pretrainedmodels: last_linear and (C,); tsn-pytorch: fc and BN tensors of shape (1, C).
    torch.manual_seed(0)
    source = BNInception()
    state = {}
    for key, value in source.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        squeezed = "_bn." not in key or classifier == "last_linear"
        state[key.replace("last_linear", classifier)] = value if squeezed else value[None]
    torch.save(state, tmp_path / "caffe.pth")
    net = build_backbone("bn_inception", str(tmp_path / "caffe.pth")).net
    assert net.inception_5b_1x1.weight.equal(source.inception_5b_1x1.weight)


def test_another_architecture_is_refused_with_its_keys(tmp_path):
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "r18.pt")
    expected = r"r18\.pt does not fit .*missing conv1_7x7_s2\.weight.*unexpected conv1\.weight"
    with pytest.raises(UserError, match=expected):
        build_backbone("bn_inception", str(tmp_path / "r18.pt"))


def test_clarifai_asks_for_a_file():
    with torch.device("meta"), pytest.raises(UserError, match=r"clarifai .*give the path"):
        build_backbone("clarifai", "imagenet")


def test_a_failed_download_asks_for_a_local_file(monkeypatch):
    def fail(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fail)
    with pytest.raises(UserError, match=r"cannot download https://.*resnet18.*give its path"):
        build_backbone("resnet18", "imagenet")


def test_a_checksum_without_a_file_is_refused():
    with pytest.raises(UserError, match="sha256"):
        build_backbone("resnet18", "none", sha256="00")
