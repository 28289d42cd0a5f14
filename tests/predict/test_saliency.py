"""Where networks look."""

import pytest
import torch
from torch import nn

from tsn.models.network import TSN
from tsn.predict.__main__ import main
from tsn.predict.saliency import draw_saliency, grad_cam
from tsn.runtime.errors import UserError
from tsn.runtime.files import write_json

pytest.importorskip("captum")


class Bright(nn.Module):
    """One map of features: how red each place is."""

    def __init__(self):
        super().__init__()
        self.first, self.conv = nn.Conv2d(3, 3, 1, bias=False), nn.Conv2d(3, 1, 1, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        nn.init.dirac_(self.first.weight)
        self.conv.weight.data = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)

    def forward(self, x):
        return self.pool(self.conv(self.first(x)).relu()).flatten(1)


def bright_network() -> TSN:
    network = TSN(2, "rgb", "resnet18", "none", 3, partial_bn=False).eval()
    network.net, network.classifier = Bright(), nn.Linear(1, 2)
    network.normalise = nn.Identity()
    network.classifier.weight.data = torch.tensor([[1.0], [-1.0]])
    return network


def test_the_heat_is_where_the_class_is_seen():
    """Class 0 speaks for red, class 1 against it: nothing speaks for class 1."""
    snippets = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    snippets[0, 0, :2, :2] = 200
    snippets[1, 1] = 200
    heat = grad_cam(bright_network(), snippets, 0)
    assert heat.shape == (2, 8, 8) and heat.max() == 1
    assert heat[0, 0, 0] == 1 and heat[0, 5:, 5:].max() == 0 and heat[1].max() == 0
    assert grad_cam(bright_network(), snippets, 1).max() == 0


@pytest.mark.parametrize("backbone", ["shufflenet_v2_x0_5", "efficientnet_lite0"])
def test_backbones_have_a_map_of_features(backbone):
    torch.manual_seed(0)
    network = TSN(2, "flow", backbone, "none", 3, partial_bn=False).eval()
    nn.init.normal_(network.classifier.weight)
    snippets = torch.randint(0, 256, (2, 10, 64, 64), dtype=torch.uint8)
    heat = grad_cam(network, snippets, 0)
    assert heat.shape == (2, 64, 64) and heat.max() in (0, 1)
    assert len({heat[0, n, n] for n in range(0, 64, 8)}) > 1 or heat.max() == 0


def test_a_map_within_a_block_of_a_network_with_frozen_batch_normalisation_is_found():
    """At 32 px the last map of more than one place is in the middle of a block."""
    torch.manual_seed(0)
    network = TSN(2, "rgb", "efficientnet_lite0", "none", 3).eval()
    heat = grad_cam(network, torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8), 0)
    assert heat.shape == (1, 32, 32)


def test_a_network_without_a_map_is_an_error():
    network = bright_network()
    network.net = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    with pytest.raises(UserError, match="no map of features"):
        grad_cam(network, torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 0)


@pytest.mark.slow
def test_a_figure_is_drawn_beside_the_prediction(run, tmp_path, on_cpu, capsys):
    out = tmp_path / "looks.png"
    options = ["-e", str(run.split), "--modalities", "rgb", "flow", "-j", "1"]
    assert main([str(run.videos[0]), *options, "--saliency", str(out)]) == 0
    assert out.read_bytes().startswith(b"\x89PNG") and "%" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(run.videos[0]), *options, "--saliency", str(out), "--stride", "1"])


@pytest.mark.slow
def test_the_clips_of_a_report_are_drawn_from_shards(run, tmp_path, on_cpu):
    """Two clips, whose videos are asked for their frame rate only."""
    folder = run.results.parent
    clips = [
        {"file": f"{n}.a.jpg", "id": video.stem, "class_name": "a", "streams": [], "scale": 1.0}
        for n, video in enumerate(run.videos)
    ]
    write_json(tmp_path / "clips.json", clips)
    shards = [[str(folder / f"{name}.h5")] for name in ("rgb", "flow", "warped_flow")]
    draw_saliency(tmp_path / "out", run.split, folder / "index.tsv", tmp_path, shards, 1)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.a.png", "1.a.png"]
