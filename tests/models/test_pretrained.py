import hashlib

import pytest
import torch
from torch import nn

from tsn.models.pretrained import load_backbone, read_state_dict
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
    with pytest.raises(UserError, match=f"{digest}, not the expected 00ff"):
        read_state_dict(path, "00ff")


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"PK\x03\x04broken"])
def test_a_file_that_is_no_weights_file_is_named(tmp_path, content):
    path = tmp_path / "page.html"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"page\.html cannot be read"):
        read_state_dict(path)


def test_code_in_a_file_is_not_run(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_state_dict(saved(tmp_path, small_net()))


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
