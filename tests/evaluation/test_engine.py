"""Which engine scores snippets."""

import copy
import logging
import os
import subprocess
import sys

import pytest
import torch

import tsn.evaluation.engine
from tsn.evaluation.engine import Scorer
from tsn.models.network import TSN
from tsn.runtime.errors import UserError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> TSN:
    torch.manual_seed(0)
    return TSN(3, "rgb", "shufflenet_v2_x0_5", "none", 2, partial_bn=False).eval()


@pytest.fixture
def snippets() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)


def test_a_cpu_scores_by_onnx_runtime_what_pytorch_scores(network, snippets):
    pytest.importorskip("onnxruntime")
    fast, plain = Scorer(network, CPU), Scorer(network, CPU, "torch")
    found, expected = fast(snippets), plain(snippets)
    assert (fast.engine, plain.engine) == ("onnxruntime", "torch")
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_other_scores_than_pytorchs_are_not_used(network, snippets, monkeypatch, caplog):
    class Wrong:
        def run(self, _, inputs):
            return [network.snippet_scores(torch.from_numpy(inputs["snippets"])).numpy() * 1.01]

    monkeypatch.setattr(tsn.evaluation.engine, "_session", lambda *_: Wrong())
    caplog.set_level(logging.INFO)
    scorer = Scorer(network, CPU)
    assert torch.equal(scorer(snippets), Scorer(network, CPU, "torch")(snippets))
    assert scorer.engine == "torch" and "on PyTorch and not on ONNX Runtime" in caplog.text
    with pytest.raises(UserError, match=r"test\.engine: onnxruntime: its scores differ by 0\.01"):
        Scorer(network, CPU, "onnxruntime")(snippets)


def test_a_network_that_onnx_runtime_cannot_read_is_scored_by_pytorch(
    network, snippets, monkeypatch, caplog
):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(
        tsn.evaluation.engine, "export_onnx", lambda _, path, *__: path.write_bytes(b"no network")
    )
    caplog.set_level(logging.INFO)
    assert torch.equal(Scorer(network, CPU)(snippets), Scorer(network, CPU, "torch")(snippets))
    assert (
        "on ONNX Runtime: ONNX Runtime cannot compute the network ([ONNXRuntimeError]"
        in caplog.text
    )
    with pytest.raises(UserError, match=r"test\.engine: onnxruntime: ONNX Runtime cannot compute"):
        Scorer(network, CPU, "onnxruntime")(snippets)


class Reshaped(torch.nn.Module):
    """Converted, it fails for another number of images than it was converted with."""

    def forward(self, x):
        return x.flatten(1)[:, :1024].reshape(int(x.shape[0]), 1024)


class Unrolled(torch.nn.Module):
    """Converted, it passes over all images but as many as it was converted with."""

    def forward(self, x):
        return torch.stack([image.flatten()[:1024] for image in x])


@pytest.mark.parametrize("backbone", [Reshaped, Unrolled])
def test_a_network_that_can_be_converted_for_one_number_of_snippets_is_scored_by_pytorch(
    network, snippets, backbone
):
    pytest.importorskip("onnxruntime")
    network = copy.deepcopy(network)
    network.net = backbone()
    scorer = Scorer(network, CPU)
    assert scorer(snippets).shape == (5, 3) and scorer.engine == "torch"


def test_without_the_package_pytorch_scores(network, snippets, monkeypatch):
    monkeypatch.setattr(tsn.evaluation.engine, "find_spec", lambda name: None)
    scorer = Scorer(network, CPU)
    scorer(snippets)
    assert scorer.engine == "torch"
    with pytest.raises(UserError, match="onnxruntime is not installed"):
        Scorer(network, CPU, "onnxruntime")(snippets)


SCORE = """
import sys
import torch
from tsn.evaluation.engine import Scorer
from tsn.models.network import TSN
from tsn.training.device import prepare

network = TSN(3, "rgb", "efficientnet_lite0", "none", 2, partial_bn=False).eval()
Scorer(network, prepare(threads=1))(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
assert sys.modules.keys().isdisjoint({"torchvision", "torch._dynamo"})
"""


def test_an_own_network_is_scored_without_what_takes_longer_to_import_than_pytorch():
    on_cpu = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", SCORE]
    done = subprocess.run(command, capture_output=True, text=True, env=on_cpu)
    assert done.returncode == 0, done.stderr
