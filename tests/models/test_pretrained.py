import hashlib
import zipfile

import pytest
import torch
from torch import nn

from tsn.models.pretrained import load_backbone, read_state_dict, state_dict_of
from tsn.runtime.errors import UserError


def small_net():
    return nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def saved(tmp_path, content, **options):
    path = tmp_path / "weights.pt"
    torch.save(content, path, **options)
    return path


def test_a_saved_state_dict_comes_back(tmp_path):
    net = small_net()
    state = read_state_dict(saved(tmp_path, net.state_dict()))
    assert state.keys() == net.state_dict().keys()
    assert state["0.weight"].equal(net[0].weight)


def test_the_old_file_format_with_pickle_2_is_read(tmp_path):
    # The converted BN-Inception files were written by Python 2 and the first torch.
    path = saved(
        tmp_path,
        small_net().state_dict(),
        _use_new_zipfile_serialization=False,
        pickle_protocol=2,
    )
    assert "1.running_mean" in read_state_dict(path)


def test_a_checkpoint_around_the_state_dict_is_unwrapped(tmp_path):
    path = saved(tmp_path, {"epoch": 3, "state_dict": small_net().state_dict()})
    assert "0.weight" in read_state_dict(path)


def test_the_checksum_must_match(tmp_path):
    path = saved(tmp_path, small_net().state_dict())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    read_state_dict(path, digest.upper())
    read_state_dict(path, digest[:8])
    with pytest.raises(UserError, match=f"{digest}, not the expected 00ff00ff"):
        read_state_dict(path, "00ff00ff")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"\0" * 1000, "empty"),
        (b"\n<!DOCTYPE html><html>404</html>", "a web page: download"),
        (b"PK\x03\x04broken", "cut short"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a pointer of Git LFS"),
        (b'{"message": "Not Found"}', "JSON"),
        (b"\x08\x08\x12\x07pytorch\x1a\x05", "an ONNX model"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
    ],
)
def test_a_file_that_is_no_weights_file_is_told_by_what_it_is(tmp_path, content, kind):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"weights\.pth holds no weights, it is {kind}"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("net/code/a.py", "a TorchScript"),
        ("net/archive_format", "a program of torch.export"),
        ("a.npy", "an archive of NumPy"),
        ("a.pth", "a ZIP"),
    ],
)
def test_archives_of_other_kinds_are_told_by_what_they_are(tmp_path, name, kind):
    with zipfile.ZipFile(tmp_path / "weights.pth", "w") as archive:
        archive.writestr(name, "")
    with pytest.raises(UserError, match=f"it is {kind}"):
        read_state_dict(tmp_path / "weights.pth")


def test_code_in_a_file_is_not_run(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read .* \(it holds torch\.nn\.mod"):
        read_state_dict(saved(tmp_path, small_net()))


@pytest.mark.parametrize("key", ["net", "ema", "weights", "params"])
def test_state_dicts_under_other_keys_and_prefixes_are_read(tmp_path, key):
    state = {f"model.module.{name}": value for name, value in small_net().state_dict().items()}
    path = saved(tmp_path, {key: {"state_dict": state}, "optimizer": {}, "epoch": 3})
    assert read_state_dict(path).keys() == small_net().state_dict().keys()


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8), "quantised"),
        (lambda: torch.ones(2, device="meta"), "without values"),
        (lambda: torch.ones(2).to_sparse(), "sparse"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*quantize_per_tensor")
def test_tensors_that_are_no_plain_numbers_are_refused(make, kind):
    with pytest.raises(UserError, match=f"file: its tensor fc.bias is {kind}"):
        state_dict_of({"fc.bias": make()}, "file")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.ones(2, dtype=torch.int8), r"1\.bias holds torch\.int8"),
        (torch.tensor([1, torch.nan]), r"1\.bias holds NaN"),
    ],
)
def test_values_that_mean_nothing_are_refused(value, words):
    state = {**small_net().state_dict(), "1.bias": value}
    with pytest.raises(UserError, match=words):
        load_backbone(small_net(), state, (), "file")


@pytest.mark.parametrize("digest", ["zz", "", "00ff", "0" * 65])
def test_a_checksum_that_is_none_is_refused(tmp_path, digest):
    with pytest.raises(UserError, match=f"'{digest}' is no SHA-256 in hexadecimal"):
        read_state_dict(saved(tmp_path, small_net().state_dict()), digest)


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not hold a state dict"):
        read_state_dict(saved(tmp_path, [torch.zeros(1)]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no weights file .*nothing\.pt"):
        read_state_dict(tmp_path / "nothing.pt")


def test_bn_tensors_with_a_leading_axis_are_squeezed():
    # tsn-pytorch's bn_inception file holds BN tensors as (1, C).
    state = {k: v for k, v in small_net().state_dict().items() if "num_batches" not in k}
    state["1.running_mean"] = torch.tensor([[3.0, 4.0]])
    net = small_net()
    load_backbone(net, state, ("fc",), "file")
    assert net[1].running_mean.tolist() == [3, 4]


def test_classifier_and_auxiliary_heads_are_skipped():
    state = small_net().state_dict()
    state["fc.weight"] = torch.zeros(7, 2)
    state["aux1.conv.weight"] = torch.zeros(1)
    state["AuxLogits.fc.bias"] = torch.zeros(1)
    net = small_net()
    load_backbone(net, state, ("fc",), "file")
    assert net[0].weight.equal(state["0.weight"])


def test_torchvisions_old_densenet_names_are_translated():
    net = nn.Sequential()
    net.add_module("denselayer1", nn.Sequential())
    net.denselayer1.add_module("norm1", nn.BatchNorm2d(1))
    state = {
        "denselayer1.norm.1." + name: torch.full((1,), 5.0)
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    load_backbone(net, state, (), "file")
    assert net.denselayer1.norm1.running_mean.item() == 5


def test_the_first_missing_and_unexpected_keys_are_named():
    state = small_net().state_dict()
    del state["0.weight"], state["1.bias"]
    state.update({f"extra{i}.weight": torch.zeros(1) for i in range(5)})
    expected = (
        r"my\.pt does not fit .*missing 0\.weight, 1\.bias; "
        r"unexpected extra0\.weight, extra1\.weight, extra2\.weight and 2 more"
    )
    with pytest.raises(UserError, match=expected):
        load_backbone(small_net(), state, ("fc",), "my.pt")


def test_a_tensor_of_another_shape_is_named():
    state = small_net().state_dict()
    state["0.weight"] = torch.zeros(2, 4, 1, 1)
    with pytest.raises(UserError, match=r"my\.pt does not fit .*0\.weight"):
        load_backbone(small_net(), state, ("fc",), "my.pt")


def test_a_path_may_start_at_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    torch.save({"weight": torch.ones(2)}, tmp_path / "weights.pth")
    assert torch.equal(read_state_dict("~/weights.pth")["weight"], torch.ones(2))
