"""The test protocol: what a model may be tested on, and the mean over crops and snippets."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tsn.config.schema import TestConfig
from tsn.data.dataset import TestSnippets
from tsn.datasets.index import members, read_index
from tsn.evaluation import protocol
from tsn.evaluation.pooling import pool
from tsn.evaluation.protocol import regroup, score, score_videos, write_evaluation
from tsn.evaluation.scores import read_scores
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.shards.store import ShardSet
from tsn.training.checkpoint import ModelInfo, load_model, save_model
from tsn.training.train import new_network

pytestmark = pytest.mark.usefixtures("on_cpu")

PROTOCOL = TestConfig(segments=3, crops=10, crop_size=32, snippet_sampling="segment_centres")


@pytest.fixture
def save(tmp_path, make_job):
    """A function that saves an untrained model of some description and returns its path."""

    def write(modality="rgb", split=1, classes=("red", "blue"), shards=None, **model):
        job = make_job(modality, model=model)
        torch.manual_seed(3)
        network = new_network(len(classes), modality, job.model, job.recipe)
        # The features of an untrained network are about 1e-5.
        torch.nn.init.normal_(network.classifier.weight, std=1e5)
        if shards is None:
            shards = {"rgb": {"q": 95}, "flow": {"by": "hand"}}[modality]
        backbone, consensus = job.model.backbone, job.model.consensus
        info = ModelInfo(
            "tiny", "tsn", split, modality, classes, backbone, consensus, 2, 32, 1, shards, "0"
        )
        save_model(tmp_path / "model.pt", network, info)
        return tmp_path / "model.pt"

    return write


@pytest.mark.parametrize(
    ("modality", "consensus", "batch"),
    [("rgb", "average", 7), ("rgb", "max", 50), ("flow", "average", 50)],
)
def test_a_score_is_the_mean_over_all_crops_of_all_snippets_before_softmax(
    tiny_set, save, modality, consensus, batch, monkeypatch
):
    """Also where a video's 30 crops do not fit into one pass, or several videos do, and whatever
    trained the snippets."""
    model = save(modality, consensus=consensus)
    monkeypatch.setitem(protocol.BATCH, "cpu", batch)
    found = score(model, tiny_set.index, tiny_set.shards[modality], 1, PROTOCOL, 1)
    network, _ = load_model(model)
    videos = members(read_index(tiny_set.index), 1, "test")
    data = TestSnippets(ShardSet(tiny_set.shards[modality]), videos, modality, PROTOCOL, 32)
    with torch.inference_mode():
        crops = [data.cut(data[n]) for n in range(len(data))]
        expected = torch.stack([network.snippet_scores(batch).mean(0) for batch in crops])
    assert found.values.std() > 0.1
    assert np.allclose(found.values, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("pooling", ["average", "max", "top2"])
def test_scores_of_snippets_are_kept_and_pooled(tiny_set, save, pooling):
    """Pooled again, they give the scores of the videos."""
    test = replace(PROTOCOL, pooling=pooling)
    found = score(save(), tiny_set.index, tiny_set.shards["rgb"], 1, test, 1)
    assert found.snippets.shape == (12, 2) and found.snippets.dtype == np.float32
    assert found.counts.tolist() == [3] * 4 and found.maxima is None
    snippets = found.snippets.reshape(4, 3, 2)
    assert np.allclose(pool(snippets, pooling), found.values, rtol=1e-5)
    assert not np.allclose(pool(snippets, "max"), pool(snippets, "average"))
    videos = members(read_index(tiny_set.index), 1, "test")
    data = TestSnippets(ShardSet(tiny_set.shards["rgb"]), videos, "rgb", test, 32)
    network, _ = load_model(save())
    one = data[0][1:2]
    with torch.inference_mode():
        expected = network.snippet_scores(data.cut(one)).mean(0)
    assert np.allclose(snippets[0, 1], expected, rtol=1e-3, atol=1e-3)
    # Centres of three segments of 9 frames. There are no videos, which would say their rates.
    assert found.starts.tolist() == [1, 4, 7] * 4 and np.isnan(found.times).all()


@pytest.mark.parametrize("block", [64, 2])
@pytest.mark.parametrize("modality", ["rgb", "flow"])
def test_a_dense_test_scores_a_snippet_every_stride(tiny_set, save, modality, block, monkeypatch):
    """At the same times in all modalities, also where a video is more than one item."""
    monkeypatch.setattr(protocol, "probe", lambda path, count: (0, 10))
    monkeypatch.setattr("tsn.data.dataset.BLOCK", block)
    test = replace(PROTOCOL, protocol="dense", stride=0.15, pooling="window")
    found = score(save(modality), tiny_set.index, tiny_set.shards[modality], 1, test, 1)
    # 9 frames: the last snippet of 6 starts at frame 3.
    assert found.counts.tolist() == [3] * 4 and found.starts.tolist() == [0, 2, 3] * 4
    assert np.allclose(found.times, [0, 0.2, 0.3] * 4)
    assert (found.maxima > found.snippets).all()
    expected = [pool(video, "window", 0.15) for video in found.maxima.reshape(4, 3, 2)]
    assert np.allclose(found.values, expected, rtol=1e-5)


def test_a_dense_test_says_which_frame_rate_it_lacks(tiny_set, save):
    with pytest.raises(UserError, match=r"blue/4\.avi.* test\.protocol: dense needs its frame"):
        test = replace(PROTOCOL, protocol="dense")
        score(save(), tiny_set.index, tiny_set.shards["rgb"], 1, test, 1)


def test_mirrored_crops_exchange_the_scores_of_classes_that_mirroring_exchanges():
    """A video of two snippets and one of one; crops 0 to 4 are plain and 5 to 9 mirrored. Scores of
    the n-th crop of all are n, n + 100 and n + 200; an item is crop after crop."""
    flipped = [False] * 5 + [True] * 5
    snippets = SimpleNamespace(
        cut=lambda item: item.repeat(10, 1, 1, 1), crops_per_snippet=10, flipped=flipped
    )
    loader = [torch.zeros(2, 1, 1, 1), torch.zeros(1, 1, 1, 1)]
    number = itertools.count()

    def scorer(crops):
        return torch.tensor([[n, n + 100, n + 200] for _, n in zip(crops, number, strict=False)])

    first, second = score_videos(scorer, loader, snippets, torch.device("cpu"), [0, 2, 1])
    for crop in range(10):
        for n, found in ((2 * crop, first[0]), (2 * crop + 1, first[1]), (20 + crop, second[0])):
            ahead, behind = (100, 200) if crop < 5 else (200, 100)
            assert found[crop].tolist() == [n, n + ahead, n + behind]


def test_scores_say_whose_they_are(tiny_set, save):
    model = save("flow")
    found = score(model, tiny_set.index, tiny_set.shards["flow"], 1, PROTOCOL, 1)
    videos = members(read_index(tiny_set.index), 1, "test")
    assert found.ids == tuple(video.id for video in videos)
    assert found.labels.tolist() == [video.label for video in videos]
    assert found.values.shape == (4, 2) and found.values.dtype == np.float32
    assert (found.modality, found.split, found.classes) == ("flow", 1, ("red", "blue"))
    assert (found.model, found.shards) == (sha256_of(model), {"by": "hand"})
    assert found.protocol["segments"] == 3 and found.protocol["crop_size"] == 32


def test_the_same_model_gives_the_same_scores(tiny_set, save):
    arguments = (save(), tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1)
    assert np.array_equal(score(*arguments).values, score(*arguments).values)


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"split": 2}, ["split 2", "split 1"]),
        ({"classes": ("blue", "red")}, ["other classes"]),
        ({"classes": ("red", "blue", "green")}, ["other classes"]),
        ({"shards": {"q": 50}}, ["q = 50", "95"]),
    ],
)
def test_a_model_of_another_split_or_classes_or_shards_is_refused(tiny_set, save, about, words):
    model = save(**about)
    with pytest.raises(UserError) as caught:
        score(model, tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1)
    for word in ("model.pt", *words):
        assert word in str(caught.value)


def test_a_model_of_another_stream_is_refused(tiny_set, save):
    with pytest.raises(UserError):
        score(save("rgb"), tiny_set.index, tiny_set.shards["flow"], 1, PROTOCOL, 1)


def test_scores_that_are_not_finite_are_told(tiny_set, save, make_job):
    model = save()
    network, info = load_model(model)
    with torch.no_grad():
        network.classifier.bias[0] = float("nan")
    save_model(model, network, info)
    with pytest.raises(UserError, match=r"model\.pt.*not finite"):
        score(model, tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1)


def test_quarantined_videos_are_not_scored_and_counted(make_tiny_set, save, tmp_path):
    tiny = make_tiny_set(bad=("red/4",))
    files = tmp_path / "scores.h5", tmp_path / "metrics.json"
    scores = score(save(), tiny.index, tiny.shards["rgb"], 1, PROTOCOL, 1)
    write_evaluation(scores, tiny.index, *files)
    assert "red/4" not in read_scores(files[0]).ids
    found = json.loads(files[1].read_text())
    assert (found["modality"], found["videos"], found["not_scored"]) == ("rgb", 3, 1)


def test_a_test_list_that_is_quarantined_as_a_whole_is_an_error(make_tiny_set, save):
    tiny = make_tiny_set(bad=("red/4", "red/5", "blue/4", "blue/5"))
    with pytest.raises(UserError, match="split 1: every test video is quarantined"):
        score(save(), tiny.index, tiny.shards["rgb"], 1, PROTOCOL, 1)


def test_an_imported_model_is_tested_with_a_warning(save, tiny_set, caplog):
    model = save(shards={})
    with caplog.at_level("WARNING", "tsn"):
        found = score(model, tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1)
    assert len(found.ids) == 4
    assert "does not say how its rgb was made" in caplog.text


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"algorithm": "tvl1", "backend": "native"}, "these shards have opencv,"),
        ({"algorithm": "dis"}, "these shards have another method's"),
        ({"algorithm": "tvl1", "backend": "native", "variant": "opencv_cuda"}, ""),
        ({"algorithm": "tvl1", "backend": "opencv_cuda"}, ""),
    ],
)
def test_an_imported_model_says_whose_flow_it_wants(
    save, tiny_set, caplog, monkeypatch, made, words
):
    model = save("flow", shards={"variant": "opencv_cuda"})
    monkeypatch.setattr(
        ShardSet, "fingerprint", property(lambda self: made, lambda *_: None), False
    )
    with caplog.at_level("WARNING", "tsn"):
        score(model, tiny_set.index, tiny_set.shards["flow"], 1, PROTOCOL, 1)
    assert words in caplog.text and bool(caplog.text) == bool(words)


@pytest.mark.parametrize("sizes", [[6], [1, 1, 1, 1, 1, 1], [5, 1], [2, 0, 4]])
def test_rows_are_regrouped_in_their_order(sizes):
    parts = torch.arange(6).split(sizes)
    assert [group.tolist() for group in regroup(parts, 4)] == [[0, 1, 2, 3], [4, 5]]
    assert [group.tolist() for group in regroup(parts, 3)] == [[0, 1, 2], [3, 4, 5]]


def test_held_out_training_videos_can_be_scored_instead(tiny_set, save):
    held_out = members(read_index(tiny_set.index), 1, "train")[:3]
    found = score(save(), tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1, held_out)
    assert found.ids == tuple(video.id for video in held_out)


def test_a_pass_that_does_not_fit_the_memory_is_halved():
    def small(crops):
        if len(crops) > 2:
            raise torch.OutOfMemoryError
        return crops * 2

    crops = torch.arange(7.0)
    scores = protocol._scores_of(small, crops)
    assert torch.equal(scores, crops * 2)


def test_scores_are_computed_in_the_precision_of_the_training(tiny_set, save):
    arguments = save(), tiny_set.index, tiny_set.shards["rgb"], 1, PROTOCOL, 1
    fp32, auto, bf16 = (score(*arguments, precision=p).values for p in ("fp32", "auto", "bf16"))
    assert np.array_equal(auto, fp32) and not np.array_equal(bf16, fp32)
