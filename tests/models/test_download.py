"""Weights from an address, from a server on this machine."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
import torchvision

from tests.foreign_files import mmaction2
from tsn.models.download import download, expected_digits, is_address
from tsn.models.foreign import read_weights
from tsn.models.network import TSN
from tsn.models.published import File
from tsn.runtime.errors import UserError

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        self.server.asked.append(self.path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server over tmp_path/served, and PyTorch's cache in tmp_path/cache."""
    folder = tmp_path / "served"
    folder.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        running.asked, running.folder = [], folder
        running.address = f"http://127.0.0.1:{running.server_port}"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_file_is_downloaded_once_and_kept(server):
    (server.folder / "net.pth").write_bytes(CONTENT)
    paths = [download(f"{server.address}/net.pth", DIGEST) for _ in range(2)]
    assert paths[0] == paths[1]
    assert paths[0].read_bytes() == CONTENT
    assert server.asked == ["/net.pth"]


def test_a_kept_file_that_was_damaged_is_downloaded_again(server):
    (server.folder / "net.pth").write_bytes(CONTENT)
    download(f"{server.address}/net.pth", DIGEST).write_bytes(b"damaged")
    assert download(f"{server.address}/net.pth", DIGEST).read_bytes() == CONTENT


def test_another_file_than_expected_is_refused_and_not_kept(server):
    (server.folder / "net.pth").write_bytes(b"another")
    with pytest.raises(UserError, match=rf"net\.pth: .*expected \"{DIGEST}\", got .*model\.sha256"):
        download(f"{server.address}/net.pth", DIGEST)
    (server.folder / "net.pth").write_bytes(CONTENT)
    kept = download(f"{server.address}/net.pth", DIGEST)
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_file_that_is_not_there_is_an_error_with_its_address(server):
    with pytest.raises(UserError, match=r"cannot download http://.*none\.pth .*404.*its path"):
        download(f"{server.address}/none.pth", DIGEST)


def test_no_connection_is_an_error_with_advice(server):
    server.server_close()
    with pytest.raises(UserError, match=r"cannot download .*get the file by other means"):
        download(f"{server.address}/net.pth", DIGEST)


def test_the_file_name_may_hold_the_checksum(server):
    name = f"net-{DIGEST[:8]}.pth"
    (server.folder / name).write_bytes(CONTENT)
    assert download(f"{server.address}/{name}").read_bytes() == CONTENT
    (server.folder / "net-00000000.pth").write_bytes(CONTENT)
    with pytest.raises(UserError, match=r'expected "00000000"'):
        download(f"{server.address}/net-00000000.pth")


def test_a_given_checksum_wins_over_the_name():
    assert expected_digits("http://host/net-00000000.pth", "ABCDEF12") == "abcdef12"


def test_an_address_without_checksum_is_refused():
    with pytest.raises(UserError, match=r"needs its checksum.*model\.sha256"):
        expected_digits("https://host/net.pth", None)


def test_weights_are_read_from_an_address(server):
    torch.save({"layer.weight": torch.ones(2)}, server.folder / "net.pth")
    digest = hashlib.sha256((server.folder / "net.pth").read_bytes()).hexdigest()
    state = read_weights(f"{server.address}/net.pth", digest).state
    assert state["layer.weight"].equal(torch.ones(2))


@pytest.mark.parametrize("modality", ["flow", "rgb_diff"])
def test_weights_by_name_are_those_of_the_modality(server, monkeypatch, modality):
    resnet = torchvision.models.resnet18().state_dict()
    files = {}
    for kind, channels in (("rgb", 3), ("flow", 10)):
        torch.manual_seed(channels)
        content = mmaction2(resnet, channels)
        torch.save(content, server.folder / kind)
        digits = hashlib.sha256((server.folder / kind).read_bytes()).hexdigest()[:8]
        (server.folder / kind).rename(server.folder / f"{kind}_20220906-{digits}.pth")
        address = f"{server.address}/{kind}_20220906-{digits}.pth"
        files["kinetics400", "resnet18", kind] = File(address, "MIT", 1.0)
        if channels == (10 if modality == "flow" else 3):
            first = content["state_dict"]["backbone.conv1.conv.weight"]
    monkeypatch.setattr("tsn.models.published.FILES", files)
    found = TSN(2, modality, "resnet18", "kinetics400", 1).net.conv1.weight
    assert found.equal(first if modality == "flow" else first.mean(1, True).expand_as(found))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://a/b.pth", True),
        ("http://a/b", True),
        ("weights/net.pth", False),
        ("imagenet", False),
    ],
)
def test_addresses_are_distinguished_from_paths(source, expected):
    assert is_address(source) is expected
