"""What an answer is made of, snippet by snippet."""

import json

import numpy as np
import pytest

from tests.predict.conftest import LENGTHS
from tsn.predict.ensemble import Ensemble
from tsn.predict.moments import find_moments, moments_of
from tsn.predict.run import read_run
from tsn.predict.streams import StoredClip
from tsn.shards.store import ShardSet

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("on_cpu")]


def test_leads_of_the_snippets_add_up_to_the_lead_of_the_answer(run):
    ensemble = Ensemble(read_run(run.split), modalities=["rgb", "flow"])
    stages = []
    found = find_moments(ensemble, str(run.videos[0]), lambda *stage: stages.append(stage))
    scores = sum(run.scores[m].values[0] for m in ("rgb", "flow"))
    assert found.leads.sum() == pytest.approx(np.ptp(scores), rel=1e-3)
    assert found.probabilities.shape == (4, 2) and len(found.times) == 4
    assert (found.middles["flow"] - found.starts["flow"] == LENGTHS["flow"] // 2).all()
    best = found.telling(1)[0]
    assert found.leads[best] == found.leads.max()
    assert {stage for stage, _ in stages} == {"frames", "RGB", "optical flow"}


def test_a_clip_of_shards_gets_the_scores_of_the_test(run):
    folder = run.results.parent
    ensemble = Ensemble(read_run(run.split), modalities=["rgb", "flow"], decodes=False)
    stores = {name: ShardSet([folder / f"{name}.h5"]) for name in ("flow", "rgb")}
    found = moments_of(ensemble, "0", StoredClip(stores, "0"), 25.0)
    assert found.prediction.frames == stores["rgb"].length("0")
    for modality, scores in found.prediction.scores.items():
        assert scores == pytest.approx(run.scores[modality].values[0], rel=1e-5)


def test_the_page_shows_the_answer_its_course_and_what_the_networks_saw(run):
    page = pytest.importorskip("tsn.serve.app", exc_type=ImportError)
    ensemble = Ensemble(read_run(run.split), modalities=["rgb", "flow"])
    found = page.classify(ensemble, str(run.videos[0]), lambda *_: None)
    json.dumps(found)
    assert {one["class"] for one in found["top"]} == {"a", "b"}
    assert len(found["times"]) == 4 == len(found["curves"][0]["probabilities"])
    assert len(found["moments"]) == 3
    for moment in found["moments"]:
        assert moment["images"].keys() == {"rgb", "flow"}
        assert moment["images"]["flow"].startswith("data:image/jpeg")
