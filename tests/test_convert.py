"""`python -m tsn.convert`: checkpoints of other libraries become model files."""

import pytest
import torch
import torchvision

from tests.foreign_files import mmaction2_names, tsn_pytorch
from tsn.convert import main, read_classes
from tsn.models.preprocessing import IMAGENET
from tsn.runtime.errors import UserError
from tsn.training.checkpoint import load_model


@pytest.fixture(scope="module")
def resnet():
    """A trained classifier of three classes, as torchvision builds it."""
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=3)
    net.train()(torch.randn(4, 3, 64, 64))  # statistics that are not the initial ones
    return net.eval()


@pytest.fixture
def files(tmp_path):
    (tmp_path / "classInd.txt").write_text("2 Basketball Dunk\r\n1 Archery\r\n3 Surfing\r\n")
    return tmp_path


def arguments(files, *more):
    given = [files / "theirs.pth", "--classes", files / "classInd.txt", "-o", files / "model.pt"]
    return [str(value) for value in (*given, *more)]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--split", "-1", "'-1' is not a whole number from 1 to 1000000"),
        ("--split", "0", "'0' is not a whole number from 1"),
        ("--segments", "0", "'0' is not a whole number from 1 to 1000"),
        ("--input-size", "0", "'0' is not a whole number from 16 to 4096"),
        ("--input-size", "99999", "'99999' is not a whole number from 16 to 4096"),
        ("--dataset", "../up", "'../up' is not a name of letters"),
        ("--experiment", "", "'' is not a name of letters"),
    ],
)
def test_values_that_are_never_right_are_refused(files, capsys, option, value, words):
    with pytest.raises(SystemExit) as ended:
        main(arguments(files, "--modality", "rgb", f"{option}={value}"))
    assert ended.value.code == 2 and words in capsys.readouterr().err


def test_an_output_that_is_a_folder_or_an_input_is_refused(files, capsys, resnet):
    torch.save(resnet.state_dict(), files / "theirs.pth")
    before = (files / "theirs.pth").read_bytes()
    for out, words in ((files, "is a folder"), (files / "theirs.pth", "would overwrite an input")):
        assert main(arguments(files, "--modality", "rgb", "-o", out)) == 1
        assert words in capsys.readouterr().err
    assert (files / "theirs.pth").read_bytes() == before


def test_what_is_found_instead_of_weights_is_named(files, capsys):
    content = {"epoch": 3, "optimizer": {}, "note": "no network"}
    said = complaint(files, capsys, content, "--modality", "rgb")
    assert "does not hold a state dict, but epoch, optimizer, note" in said


@pytest.mark.parametrize(("modality", "wanted"), [("rgb", {}), ("flow", "opencv_cuda")])
def test_a_converted_model_of_flow_wants_that_of_opencv_cuda(files, modality, wanted):
    net = torchvision.models.resnet18(num_classes=3)
    channels = {"rgb": 3, "flow": 10}[modality]
    net.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    backbone = {key: value for key, value in net.state_dict().items() if not key.startswith("fc.")}
    content = tsn_pytorch(backbone, 512)
    content["state_dict"]["module.new_fc.weight"] = net.fc.weight.detach()
    content["state_dict"]["module.new_fc.bias"] = net.fc.bias.detach()
    torch.save(content, files / "theirs.pth")
    assert main(arguments(files, "--modality", modality)) == 0
    shards = load_model(files / "model.pt")[1].shards
    assert shards == ({"variant": wanted} if wanted else {})


@pytest.mark.parametrize("origin", ["mmaction2", "tsn-pytorch"])
def test_a_converted_model_scores_like_its_original(files, resnet, origin):
    state = resnet.state_dict()
    if origin == "mmaction2":
        content = {"state_dict": mmaction2_names(state)}
        content["state_dict"]["cls_head.fc_cls.weight"] = resnet.fc.weight.detach()
        content["state_dict"]["cls_head.fc_cls.bias"] = resnet.fc.bias.detach()
    else:
        backbone = {key: value for key, value in state.items() if not key.startswith("fc.")}
        content = tsn_pytorch(backbone, 512)
        content["state_dict"]["module.new_fc.weight"] = resnet.fc.weight.detach()
        content["state_dict"]["module.new_fc.bias"] = resnet.fc.bias.detach()
    torch.save(content, files / "theirs.pth")
    assert main(arguments(files, "--modality", "rgb", "--dataset", "sports", "--split", "2")) == 0

    model, info = load_model(files / "model.pt")
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    # torchvision's ImageClassification preset.
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET.mean, IMAGENET.std))
    with torch.inference_mode():
        expected = resnet((images / 255 - mean) / std)
        assert torch.allclose(model.snippet_scores(images), expected, atol=1e-5)
    assert info.classes == ("Archery", "Basketball Dunk", "Surfing")
    assert (info.dataset, info.split, info.backbone) == ("sports", 2, "resnet18")


def complaint(files, capsys, content, *more):
    torch.save(content, files / "theirs.pth")
    assert main(arguments(files, *more)) == 1
    assert not (files / "model.pt").exists()
    sentence = capsys.readouterr().err
    assert sentence.startswith("error: ")
    assert sentence.count("\n") == 1
    return sentence


def test_another_number_of_classes_is_refused(files, capsys, resnet):
    content = tsn_pytorch(resnet.state_dict(), 512)
    said = complaint(files, capsys, content, "--modality", "rgb")
    assert "4 classes" in said
    assert "names 3" in said


def test_another_modality_is_refused(files, capsys, resnet):
    content = tsn_pytorch(resnet.state_dict(), 512)
    content["state_dict"]["module.new_fc.weight"] = torch.rand(3, 512)
    content["state_dict"]["module.new_fc.bias"] = torch.rand(3)
    said = complaint(files, capsys, content, "--modality", "flow")
    assert "takes 3 channels, and flow has 10" in said


def test_imagenet_weights_are_no_trained_tsn(files, capsys, resnet):
    assert "no trained TSN" in complaint(files, capsys, resnet.state_dict(), "--modality", "rgb")


def test_a_backbone_that_cannot_be_told_is_asked_for(files, capsys):
    content = tsn_pytorch({"features.0.weight": torch.rand(64, 3, 3, 3)}, 512)
    content["state_dict"]["module.new_fc.weight"] = torch.rand(3, 512)
    content["state_dict"]["module.new_fc.bias"] = torch.rand(3)
    assert "--backbone" in complaint(files, capsys, content, "--modality", "rgb")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 a\n3 b\n", "not numbered"),
        ("2 a\n3 b\n", "not numbered"),
        ("a\na\n", "twice"),
        ("\n", "has no class"),
    ],
)
def test_a_wrong_list_of_classes_is_refused(tmp_path, text, message):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(UserError, match=rf"classes\.txt: .*{message}"):
        read_classes(tmp_path / "classes.txt")


def test_plain_names_are_classes_in_their_order(tmp_path):
    (tmp_path / "classes.txt").write_text("zumba\n3d printing\n")
    assert read_classes(tmp_path / "classes.txt") == ("zumba", "3d printing")
