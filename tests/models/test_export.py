"""Networks as ONNX files."""

import warnings

import pytest
import torch

from tsn.models.efficientnet_lite import SameConv2d
from tsn.models.export import export_onnx
from tsn.models.fold import fold_batch_norm
from tsn.models.network import TSN
from tsn.runtime.errors import UserError

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("backbone", "modality", "dtype"),
    [
        ("shufflenet_v2_x0_5", "rgb", torch.uint8),
        ("efficientnet_lite0", "flow", torch.uint8),
        ("resnet18", "rgb_diff", torch.int16),
    ],
)
def test_onnx_runtime_gives_the_scores_of_pytorch_for_any_batch(
    tmp_path, backbone, modality, dtype
):
    torch.manual_seed(0)
    network = TSN(7, modality, backbone, "none", 3, partial_bn=False).eval()
    torch.nn.init.normal_(network.classifier.weight)
    fold_batch_norm(network.net, network.channels, 32)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_onnx(network, tmp_path / "network.onnx", 32, dtype)
    session = onnxruntime.InferenceSession(str(tmp_path / "network.onnx"))
    for batch in (1, 5):
        snippets = torch.randint(0, 256, (batch, network.channels, 32, 32)).to(dtype)
        (found,) = session.run(None, {"snippets": snippets.numpy()})
        with torch.inference_mode():
            expected = network.snippet_scores(snippets)
        scale = expected.abs().max()
        assert torch.allclose(torch.from_numpy(found) / scale, expected / scale, atol=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_same_convolution_is_one_convolution_with_uneven_padding(tmp_path):
    convolution, file = SameConv2d(4, 4, 3, stride=2, groups=4).eval(), tmp_path / "layer.onnx"
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(convolution, (torch.zeros(1, 4, 8, 9),), str(file), dynamo=False)
    (node,) = onnx.load(file).graph.node
    pads = {a.name: list(a.ints) for a in node.attribute}["pads"]
    assert (node.op_type, pads) == ("Conv", [0, 1, 1, 1])


class NotConvertible(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x.flatten(1)[None])[0, :1].expand(len(x), 1)


def test_a_network_that_cannot_be_converted_is_an_error(tmp_path):
    network = TSN(2, "rgb", "resnet18", "none", 3, partial_bn=False)
    network.net, network.classifier = NotConvertible(), torch.nn.Linear(1, 2)
    with pytest.raises(UserError, match=r"network\.onnx: PyTorch cannot convert the network"):
        export_onnx(network, tmp_path / "network.onnx", 32, torch.uint8)
    assert not list(tmp_path.iterdir())
