"""Snippets at a fixed rate, as a video is decoded."""

from dataclasses import replace

import numpy as np
import pytest

from tests.predict.conftest import PROTOCOL, WEIGHTS
from tsn.data.sampling import LONGEST, dense_starts
from tsn.datasets.demo import FRAME_RATE
from tsn.evaluation.fusion import combine
from tsn.evaluation.pooling import pool
from tsn.evaluation.protocol import score
from tsn.predict import dense
from tsn.predict.dense import SnippetScores, dense_clips
from tsn.predict.ensemble import Ensemble
from tsn.predict.run import read_run


@pytest.mark.parametrize("count", [3, 6, 47, 200])
@pytest.mark.parametrize("rate", [10, 29.97])
@pytest.mark.parametrize("stride", [0.05, 0.5, 2.3])
@pytest.mark.parametrize("longest", [LONGEST, 11])
def test_clips_have_the_frames_of_their_snippets_and_hardly_more(count, rate, stride, longest):
    """Snippets of another length lie where those of the usual one do."""
    starts, most = [], 0
    for clip, some in dense_clips(None, np.arange(count), rate, stride, 0, longest):
        starts += some
        most = max(most, len(clip.frames))
        for start in some:
            frames = range(start, min(start + longest, count))
            assert [clip.frames[n] for n in frames] == list(frames)
        length = clip.length
    assert length == count and starts == dense_starts(count, rate, stride).tolist()
    assert most <= (dense.BLOCK + 1) * longest


def test_clips_go_on_after_what_is_done():
    expected = dense_starts(200, 10, 0.5).tolist()
    clips = list(dense_clips(None, np.arange(200), 10, 0.5, done=21))
    assert [start for _, some in clips for start in some] == expected[21:]
    assert min(min(clip.frames) for clip, _ in clips) == expected[21]


def test_scores_survive_the_process_and_belong_to_their_key(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(SnippetScores, "EVERY", 2)
    path = tmp_path / "a.npz"
    scores = SnippetScores(["rgb"], path, {"model": 1})
    for _ in range(3):
        scores.add({"rgb": torch.rand(4, 2, 3)})
    found = SnippetScores(["rgb"], path, {"model": 1})
    assert len(found) == 8 and len(scores) == 12
    assert np.array_equal(found.maxima["rgb"][0], np.concatenate(scores.maxima["rgb"][:2]))
    assert len(SnippetScores(["rgb"], path, {"model": 2})) == 0
    whole = path.read_bytes()
    place = whole.rindex(found.maxima["rgb"][0].tobytes())
    flipped = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    for damaged in (b"damaged", b"", whole[:100], flipped):
        path.write_bytes(damaged)
        scores = SnippetScores(["rgb"], path, {"model": 1})
        assert len(scores) == len(scores.maxima["rgb"]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
@pytest.mark.parametrize("pooling", ["average", "window"])
def test_a_video_gets_the_scores_of_the_dense_test(run, monkeypatch, pooling):
    """All modalities, whatever fits into memory at a time."""
    monkeypatch.setattr(dense, "BLOCK", 3)
    test = replace(PROTOCOL, protocol="dense", stride=0.1, pooling=pooling)
    folder, (video, _) = run.results.parent, run.videos
    found = Ensemble(read_run(run.split), test).predict(str(video))
    fused = {}
    monkeypatch.setattr("tsn.evaluation.protocol.probe", lambda *_, **__: (0, FRAME_RATE))
    for modality in WEIGHTS:
        owner = "other" if modality == "rgb_diff" else "mine"
        model = run.results / "set" / owner / "split1" / modality / "model.pt"
        shard = folder / f"{'rgb' if modality == 'rgb_diff' else modality}.h5"
        scores = score(model, folder / "index.tsv", [str(shard)], 1, test, 1)
        assert np.allclose(found.scores[modality], scores.values[0], rtol=1e-4), modality
        count = scores.counts[0]
        fused[modality] = scores.snippets[:count]
        assert np.allclose(found.timeline.times, scores.times[:count])
    assert found.frames == 16 and np.isclose(found.timeline.duration, 16 / FRAME_RATE)
    assert np.allclose(found.timeline.fused, combine(fused, WEIGHTS), rtol=1e-3, atol=1e-3)
    if pooling == "average":
        assert np.allclose(pool(found.timeline.fused, "average"), found.fused, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("on_cpu")
def test_an_interrupted_video_goes_on(run, monkeypatch, tmp_path):
    monkeypatch.setattr(dense, "BLOCK", 2)
    monkeypatch.setattr(SnippetScores, "EVERY", 1)
    test = replace(PROTOCOL, protocol="dense", stride=0.05, crops=1)
    ensemble, video = Ensemble(read_run(run.split), test, ["rgb"]), str(run.videos[0])
    whole = ensemble.predict(video)
    partial = tmp_path / "p.npz"
    scored, score_clip = [], Ensemble.score_clip

    def interrupted(self, clip, starts):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.extend(starts)
        return score_clip(self, clip, starts)

    monkeypatch.setattr(Ensemble, "score_clip", interrupted)
    monkeypatch.setattr(dense, "BLOCK", 1)
    with pytest.raises(KeyboardInterrupt):
        ensemble.predict(video, partial)
    scored.append(None)
    found = ensemble.predict(video, partial)
    assert scored[:3] == [0, 1, 2] and 0 not in scored[4:]
    assert np.allclose(found.timeline.fused, whole.timeline.fused, rtol=1e-4, atol=1e-4)
    assert not partial.exists()
