"""Features are what the last layer makes snippet scores of, from videos and from shards."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from tests.predict.conftest import LENGTHS, PROTOCOL
from tsn import features
from tsn.config.schema import FeaturesConfig
from tsn.evaluation.features import Features, extract_features, feature_file
from tsn.predict.ensemble import Ensemble
from tsn.predict.features import FeatureExtractor
from tsn.predict.run import read_run, run_of_model
from tsn.runtime.errors import UserError
from tsn.serve import __main__ as serve
from tsn.training.checkpoint import load_model, save_model

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]

CHOSEN = FeaturesConfig(stride=4, crops=5)


@pytest.fixture(scope="module")
def found(run) -> dict:
    finished = read_run(run.split)
    test = replace(finished.protocol, crops=CHOSEN.crops)
    ensemble = Ensemble(finished, test, ["rgb", "flow"])
    return FeatureExtractor(ensemble, CHOSEN)(str(run.videos[0]), "0")


def test_features_put_through_the_classifier_are_the_scores_of_the_snippets(run, found):
    finished = read_run(run.split)
    test = replace(finished.protocol, crops=CHOSEN.crops)
    ensemble = Ensemble(finished, test, ["rgb", "flow"])
    ((clip, starts),) = ensemble.dense_clips(str(run.videos[0]), 1.0, CHOSEN.stride)
    assert starts == [0, 4, 8] == found["rgb"].starts.tolist()
    for modality, scores in ensemble.score_clip(clip, starts).items():
        network, _ = ensemble.networks[modality]
        values = found[modality].values
        assert values.shape[1] == network.classifier.in_features and values.dtype == np.float32
        with torch.inference_mode():
            again = network.classifier(torch.from_numpy(values)).numpy()
        expected = scores.mean(1).numpy()
        assert np.abs(expected).max() > 0.1
        assert np.allclose(again, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert found["flow"].frames == 16 and found["flow"].fps > 0


@pytest.mark.parametrize("command", [features, serve])
def test_weights_of_ones_own_reach_the_networks_flow(run, command, tmp_path, monkeypatch, capsys):
    def ensemble(*arguments):
        raise UserError(str(arguments[-1]))

    monkeypatch.setattr("tsn.predict.ensemble.Ensemble", ensemble)
    videos = [str(run.videos[0]), "-o", str(tmp_path)] if command is features else []
    assert command.main([*videos, "-e", str(run.split), "--flow-weights", "mine.pt"]) == 1
    assert "mine.pt" in capsys.readouterr().err


@pytest.mark.parametrize("layer", ["pool", "scores"])
def test_classes_that_mirroring_exchanges_are_of_scores_alone(run, tmp_path, layer):
    """Features of a video and of its shard, by a network of few classes and many features."""
    chosen, model = FeaturesConfig(stride=8, crops=10, layer=layer), tmp_path / "model.pt"
    network, info = load_model(run.split / "rgb" / "model.pt")
    save_model(model, network, replace(info, swap={"a": "b"}))
    ensemble = Ensemble(replace(run_of_model(model), protocol=replace(PROTOCOL, crops=10)))
    expected = FeatureExtractor(ensemble, chosen)(str(run.videos[0]), "0")["rgb"].values
    folder = run.results.parent
    sources = str(model), str(folder / "index.tsv"), [str(folder / "rgb.h5")]
    extract_features(tmp_path / "features.h5", sources, chosen, 32, 1)
    with h5py.File(tmp_path / "features.h5") as file:
        assert np.allclose(file["0/features"][()], expected, rtol=1e-3)


def test_a_video_may_have_the_name_of_a_folder(tmp_path):
    with feature_file(tmp_path / "features.h5", {"stride": 1}) as add:
        for name in ("a/b", "a"):
            add(Features(name, np.ones((1, 2), np.float32), np.zeros(1, np.int64), 1, 25.0))
    with h5py.File(tmp_path / "features.h5") as file:
        assert file["a/features"].shape == file["a/b/features"].shape == (1, 2)


def test_shards_give_the_features_of_the_video(run, found, tmp_path, monkeypatch):
    """It has 3 snippets, which are read 2 at a time."""
    monkeypatch.setattr("tsn.data.dataset.BLOCK", 2)
    folder = run.results.parent
    for modality in ("rgb", "flow"):
        sources = (
            str(run.split / modality / "model.pt"),
            str(folder / "index.tsv"),
            [str(folder / f"{modality}.h5")],
        )
        extract_features(tmp_path / "features.h5", sources, CHOSEN, 32, 1)
        with h5py.File(tmp_path / "features.h5") as file:
            assert sorted(file) == ["0", "1", "2"]
            group = file["0"]
            assert np.allclose(group["features"][()], found[modality].values, atol=1e-6)
            assert group["starts"][()].tolist() == found[modality].starts.tolist()
            assert dict(group.attrs) == {"fps": found[modality].fps, "frames": 16, "stride": 4}
            about = json.loads(file.attrs["about"])
            assert about["layer"] == "pool"
            assert about["snippet_frames"] == (1 if modality == "rgb" else LENGTHS["flow"])


def test_all_forms_hold_the_same_array(run, tmp_path):
    video = str(run.videos[0])
    options = ["-e", str(run.split), "--modalities", "rgb", "--layer", "scores", "-j", "1"]
    for form in ("npy", "csv", "h5"):
        assert features.main([video, *options, "--form", form, "-o", str(tmp_path / form)]) == 0
    array = np.load(tmp_path / "npy/rgb/0.npy")
    assert array.shape == (2, 2) and array.dtype == np.float32
    # As mmaction2's LoadLocalizationFeature does.
    table = np.loadtxt(tmp_path / "csv/rgb/0.csv", dtype=np.float32, delimiter=",", skiprows=1)
    assert np.array_equal(table, array)
    with h5py.File(tmp_path / "h5/rgb.h5") as file:
        assert np.array_equal(file["0/features"][()], array)
    about = json.loads((tmp_path / "npy/rgb/features.json").read_text())
    assert about["videos"]["0"]["starts"] == [0, 8] and about["stride"] == 8


def test_a_video_that_is_none_does_not_stop_the_others(run, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    options = ["-e", str(run.split), "--modalities", "rgb", "-j", "1", "-o", str(tmp_path / "out")]
    assert features.main([str(bad), str(run.videos[0]), *options]) == 1
    assert "bad.mp4" in capsys.readouterr().err
    assert len(list((tmp_path / "out").rglob("*.npy"))) == 1
