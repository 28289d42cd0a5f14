"""Predictions on files are the pipeline's own scores."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.predict.conftest import PROTOCOL, WEIGHTS
from tsn.evaluation.fusion import combine, probabilities
from tsn.evaluation.pooling import pool
from tsn.flow.tvl1 import TVL1
from tsn.predict.ensemble import Ensemble
from tsn.predict.run import find_run, read_run
from tsn.predict.streams import Clip
from tsn.runtime.errors import UserError
from tsn.runtime.files import write_json
from tsn.training.checkpoint import load_model, save_model
from tsn.video import isolation
from tsn.video.errors import VideoError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]


def test_a_test_video_gets_the_scores_that_the_pipeline_gave_it(run):
    """All modalities: the same frames, JPEGs, flow and warped flow, though no shard is read."""
    ensemble = Ensemble(read_run(run.split))
    assert ensemble.classes == ("a", "b")
    for row, video in enumerate(run.videos):
        found = ensemble.predict(str(video))
        assert list(found.scores) == list(run.scores) == list(WEIGHTS)
        for name, scores in run.scores.items():
            assert np.abs(scores.values).max() > 0.1
            assert np.allclose(found.scores[name], scores.values[row], rtol=1e-5), name
        assert np.allclose(found.fused, combine(found.scores, WEIGHTS))
        assert found.probabilities.sum() == pytest.approx(1)


def test_a_video_is_decoded_once_and_its_flow_computed_once(run, monkeypatch):
    """Four modalities; the flow that warped flow starts from is the flow modality's."""
    decoded, read = [], isolation.read_frames

    def reading(path, *arguments, **options):
        decoded.append(path)
        return read(path, *arguments, **options)

    monkeypatch.setattr("tsn.predict.ensemble.read_frames", reading)
    monkeypatch.setattr("tsn.video.decode.read_frames", None)
    calls = count_calls(monkeypatch, TVL1, "pairs")
    ensemble = Ensemble(read_run(run.split))
    ensemble.predict(str(run.videos[0]))
    assert decoded == [str(run.videos[0])]
    pairs = [a.tobytes() + b.tobytes() for call in calls for a, b in zip(*call, strict=True)]
    assert pairs and len(pairs) == len(set(pairs))


def test_a_video_whose_file_says_a_wrong_number_of_frames_gets_the_same_scores(run, monkeypatch):
    ensemble = Ensemble(read_run(run.split), modalities=["rgb", "flow"])
    video = str(run.videos[0])
    right = ensemble.predict(video)
    for wrong in (right.frames + 7, right.frames - 5, 0):
        monkeypatch.setattr("tsn.predict.ensemble.probe", lambda _, count=wrong: (count, 25))
        found = ensemble.predict(video)
        assert found.frames == right.frames
        assert all(np.array_equal(found.scores[m], right.scores[m]) for m in right.scores)


def test_a_video_is_pooled_as_its_test_says(run):
    test = replace(PROTOCOL, pooling="max")
    found = Ensemble(read_run(run.split), test, ["rgb"]).predict(str(run.videos[0]))
    scores = run.scores["rgb"]
    snippets = scores.snippets[: scores.counts[0]]
    assert np.allclose(found.scores["rgb"], pool(snippets, "max"), rtol=1e-5)
    assert not np.allclose(found.scores["rgb"], scores.values[0], rtol=1e-3)


def test_some_modalities_are_fused_with_their_weights(run):
    found = Ensemble(read_run(run.split), modalities=["warped_flow"]).predict(str(run.videos[0]))
    assert np.allclose(found.fused, 0.5 * found.scores["warped_flow"])


def test_a_modality_that_the_fusion_has_not_is_named(run):
    few = replace(read_run(run.split), weights={"rgb": 1.0})
    with pytest.raises(UserError, match=r"--modalities flow: .*fuses rgb; choose"):
        Ensemble(few, modalities=["flow"])


def test_the_flow_of_snippets_that_are_apart_is_computed_at_once(run, monkeypatch):
    ensemble = Ensemble(read_run(run.split), modalities=["flow", "warped_flow"])
    decoded = ensemble.decode(str(run.videos[0]))
    fields = sorted(decoded.frames)[: -ensemble.streams.step]
    fields = [*fields[:2], *fields[-2:]]
    for stream in ("flow", "warped_flow"):
        one, other = (Clip(ensemble.streams, decoded.length) for _ in range(2))
        one.frames = other.frames = decoded.frames
        alone = np.concatenate([one.read(stream, [t]) for t in fields])
        with monkeypatch.context() as patched:
            calls = count_calls(patched, TVL1, "pairs")
            np.testing.assert_array_equal(other.read(stream, fields), alone)
        assert len(calls) <= (1 if stream == "flow" else 2)


def count_calls(monkeypatch, kind, method) -> list:
    """Arguments of the calls of a method, as they come."""
    calls, original = [], getattr(kind, method)

    def counted(self, *arguments):
        calls.append(arguments)
        return original(self, *arguments)

    monkeypatch.setattr(kind, method, counted)
    return calls


def test_a_bad_video_is_told(run, tmp_path):
    (tmp_path / "bad.avi").write_bytes(b"no video" * 99)
    with pytest.raises(VideoError, match=r"bad\.avi"):
        Ensemble(read_run(run.split), modalities=["rgb"]).predict(str(tmp_path / "bad.avi"))


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.results, tmp_path / "results")
    return tmp_path / "results" / "set" / "mine" / "split1"


def test_a_model_trained_since_the_fusion_is_refused(copy):
    shutil.copy(copy / "flow/model.pt", copy / "warped_flow/model.pt")
    with pytest.raises(UserError, match=r"warped_flow/model\.pt: is not the model whose scores"):
        Ensemble(read_run(copy))


def test_a_missing_model_is_named(copy):
    (copy / "rgb/model.pt").unlink()
    with pytest.raises(UserError, match=r"rgb/model\.pt: there is no such file"):
        Ensemble(read_run(copy), modalities=["rgb"])


def test_flow_of_another_engine_is_refused(run, monkeypatch):
    class Other:
        def __init__(self, *_):
            self.fingerprint = {"algorithm": "tvl1", "version": "from the future"}

    monkeypatch.setattr("tsn.predict.streams.recreate_estimator", Other)
    with pytest.raises(UserError, match="the flow model was trained on flow with "):
        Ensemble(read_run(run.split), modalities=["flow"])


@pytest.mark.parametrize("name", ["mine", "set/mine"])
def test_a_run_is_found_by_its_name(run, name):
    found = find_run(name, run.results, None)
    assert found.folder == run.split and found.dataset == "set"
    assert found.models["rgb_diff"] == run.results / "set/other/split1/rgb_diff/model.pt"


def test_a_folder_that_is_no_experiments_does_not_hide_one(run, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_run("mine", run.results, None).folder == run.split


def test_a_run_is_found_by_its_folder(run, tmp_path):
    for folder in (run.split, run.split.parent):
        assert find_run(str(folder), tmp_path, None).folder == run.split


@pytest.mark.parametrize(
    ("name", "split", "words"),
    [
        ("nothing", None, "--experiment nothing: there is no such folder"),
        ("mine", 2, "--split 2: .*mine has only split1"),
        ("other", None, r"no split of it has a fusion\.json"),
        ("set", None, "set: is no experiment; name one of .*set/mine"),
    ],
)
def test_a_run_that_is_not_there_is_told(run, name, split, words):
    with pytest.raises(UserError, match=words):
        find_run(name, run.results, split)


def test_several_splits_and_data_sets_must_be_told_apart(copy):
    shutil.copytree(copy, copy.parent / "split2")
    with pytest.raises(UserError, match="there are split1, split2; choose one with --split"):
        find_run(str(copy.parent), copy, None)
    results = copy.parents[2]
    shutil.copytree(results / "set", results / "tes")
    with pytest.raises(UserError, match="there are set/mine, tes/mine; name one"):
        find_run("mine", results, 1)


def test_probabilities_are_calibrated_as_those_of_the_run(run, copy):
    fusion = json.loads((copy / "fusion.json").read_text())
    write_json(copy / "fusion.json", {**fusion, "calibration": {"temperature": 2.0}})
    plain = Ensemble(read_run(run.split), modalities=["rgb"]).predict(str(run.videos[0]))
    soft = Ensemble(read_run(copy), modalities=["rgb"]).predict(str(run.videos[0]))
    assert soft.fused.tolist() == plain.fused.tolist()
    assert soft.probabilities == pytest.approx(probabilities(plain.fused / 2, "cross_entropy"))


def test_a_run_that_fuses_experiments_names_them(copy):
    fusion = json.loads((copy / "fusion.json").read_text())
    fusion["models"]["rgb"]["experiment"] = "tsn+k5"
    write_json(copy / "fusion.json", fusion)
    with pytest.raises(UserError, match="fuses the experiments tsn, k5; name one of these"):
        read_run(copy)


def test_a_damaged_fusion_is_told(copy):
    fusion = json.loads((copy / "fusion.json").read_text())
    del fusion["models"]
    (copy / "fusion.json").write_text(json.dumps(fusion))
    with pytest.raises(UserError, match=r"fusion\.json: not a whole fusion\.json"):
        read_run(copy)


def test_a_model_file_of_frames_that_keep_their_aspect_is_tested_on_crops_that_fit(copy):
    model = copy / "rgb/model.pt"
    network, info = load_model(model)
    shards = {"short_side": 64, "jpeg_quality": 90}
    save_model(model, network, replace(info, shards=shards))
    assert find_run(str(model), copy, None).protocol.crop_size == 56


def test_a_model_file_that_was_imported_does_not_say_how_frames_were_made(copy):
    model = copy / "rgb/model.pt"
    network, info = load_model(model)
    save_model(model, network, replace(info, shards={}))
    with pytest.raises(UserError, match="RGB model was imported and does not say"):
        Ensemble(find_run(str(model), copy, None))
