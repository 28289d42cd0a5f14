"""A run as a file for other programs."""

import json

import numpy as np
import pytest
import torch

from tests.predict.conftest import LENGTHS
from tsn import export
from tsn.models.export import _Snippets
from tsn.predict.run import read_run

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]


@pytest.fixture(scope="module")
def shards(run) -> list[str]:
    return [str(run.results.parent / f"{stream}.h5") for stream in ("rgb", "flow", "warped_flow")]


def test_an_exported_run_gives_the_scores_of_the_fusion_for_any_number_of_snippets(
    run, shards, tmp_path, capsys
):
    out = tmp_path / "run.onnx"
    assert export.main([str(run.split), "-o", str(out), "--check", *shards]) == 0
    assert "largest difference from PyTorch" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(str(out))
    random = torch.Generator().manual_seed(1)
    inputs = {}
    for n, entry in enumerate(session.get_inputs()):
        dtype = torch.int16 if entry.type == "tensor(int16)" else torch.uint8
        shape = (3, n + 1, *entry.shape[2:])
        inputs[entry.name] = torch.randint(0, 256, shape, generator=random).to(dtype).numpy()
    names = [entry.name for entry in session.get_outputs()]
    found = dict(zip(names, session.run(None, inputs), strict=True))
    weights = read_run(run.split).weights
    fused = sum(w * found[f"{m}_scores"].mean(1) for m, w in weights.items())
    assert np.allclose(found["scores"], fused, rtol=1e-4, atol=1e-5)
    assert np.allclose(found["probabilities"].sum(1), 1)
    about = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert json.loads(about["classes"]) == ["a", "b"]
    assert json.loads(about["weights"]) == weights
    assert inputs["flow"].shape[2] == 2 * LENGTHS["flow"]
    flow = json.loads(about["inputs"])["flow"]
    assert flow["dtype"] == "uint8" and flow["content"].startswith("8 consecutive fields")


def test_a_model_is_exported_for_pytorch_alone(run, shards, tmp_path):
    out = tmp_path / "rgb.pt2"
    model = run.split / "rgb" / "model.pt"
    assert export.main([str(model), "-o", str(out), "--check", *shards]) == 0
    extra = {"about.json": ""}
    with torch.no_grad():
        program = torch.export.load(out, extra_files=extra).module()
        scores = program(torch.zeros(5, 4, 3, 32, 32, dtype=torch.uint8))
    assert [list(s.shape) for s in scores] == [[5, 4, 2], [5, 2], [5, 2]]
    assert json.loads(extra["about.json"])["classes"] == ["a", "b"]


def test_scores_that_are_not_those_of_pytorch_are_not_written(
    run, shards, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("tsn.predict.export.TOLERANCE", 0)
    out = tmp_path / "rgb.onnx"
    model = run.split / "flow" / "model.pt"
    assert export.main([str(model), "-o", str(out), "--check", *shards]) == 1
    assert "its scores differ by" in capsys.readouterr().err
    assert not out.exists()


def test_a_network_that_is_converted_for_one_number_of_snippets_is_not_written(
    run, shards, tmp_path, monkeypatch, capsys
):
    own = _Snippets.forward

    def converted_once(self, snippets):
        return own(self, snippets).reshape(int(snippets.shape[0]), 2)

    monkeypatch.setattr(_Snippets, "forward", converted_once)
    out = tmp_path / "rgb.onnx"
    model = run.split / "rgb" / "model.pt"
    assert export.main([str(model), "-o", str(out), "--check", *shards]) == 1
    assert "error: ONNX Runtime cannot compute the network" in capsys.readouterr().err
    assert not out.exists()


def test_what_cannot_be_exported_is_one_sentence(run, tmp_path, capsys):
    model = str(run.split / "rgb" / "model.pt")
    assert export.main([model, "-o", "rgb.tflite"]) == 1
    assert "a file that ends in .onnx or .pt2" in capsys.readouterr().err
    assert export.main([model, "-o", str(tmp_path / "rgb.onnx")]) == 1
    assert "name one with --check" in capsys.readouterr().err
