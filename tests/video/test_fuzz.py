"""No damage to a file ends a shard: each video has its rows, or a status and a reason."""

import multiprocessing
import resource
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from tests.video.mutations import FRAMES, make_corpus, mutate
from tsn.config.schema import FramesConfig
from tsn.datasets.records import Video
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard

pytestmark = pytest.mark.slow

CLIPS = 120


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def build(folder, files: dict[str, bytes]) -> Shard:
    videos = folder / "videos"
    videos.mkdir()
    for name, data in files.items():
        (videos / name).write_bytes(data)
    sources = [Video(name, str(videos / name), "class") for name in files]
    build_rgb_shard(folder / "results" / "0000.h5", sources, FramesConfig((32, 24), 95))
    return Shard(folder / "results" / "0000.h5")


def memory_of_building(folder, files: dict[str, bytes]) -> int:
    """Build a shard; return the most memory that any child of this process has had, in KB."""
    build(folder, files).close()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss


def test_the_corpus_itself_is_good(tmp_path, corpus):
    assert len(corpus) >= 15
    with build(tmp_path, {f"seed.{ending}": data for ending, data in corpus.items()}) as shard:
        assert {v.id: v.status for v in shard.videos.values() if not v.ok} == {}
        assert {v.length for v in shard.videos.values()} <= {FRAMES - 1, FRAMES}


def test_every_damaged_video_is_accounted_for(tmp_path, corpus, monkeypatch):
    files = dict(mutate(corpus, 1, number) for number in range(CLIPS))
    monkeypatch.chdir(tmp_path)
    # A child begins with the memory of its parent, which is large if it runs all tests.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as small:
        memory = small.submit(memory_of_building, tmp_path, files).result()
    with Shard(tmp_path / "results" / "0000.h5") as shard:
        assert list(shard.videos) == list(files)
        bad = [video for video in shard.videos.values() if not video.ok]
        assert CLIPS / 8 < len(bad) < CLIPS
        for video in bad:
            assert video.length == 0 and video.id in video.message
        for video in set(shard.videos.values()) - set(bad):
            assert shard.read(video, range(video.length)).dtype == np.uint8
    # Nothing was written beside the shard; nothing outgrew its memory.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "videos"]
    assert sorted(path.name for path in (tmp_path / "videos").iterdir()) == sorted(files)
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["0000.h5"]
    assert memory <= 2_000_000
