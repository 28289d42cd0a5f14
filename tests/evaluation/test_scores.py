"""Score files."""

import os
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from tsn.evaluation.pooling import pool
from tsn.evaluation.scores import Scores, read_scores, write_scores
from tsn.runtime.errors import UserError

SNIPPETS = np.random.default_rng(1).normal(size=(12, 2)).astype(np.float32)
NAMES = ("c/1", 'c/ "🎬"\t', os.fsdecode(b"c/\xff"))


@pytest.fixture
def scores() -> Scores:
    return Scores(
        dataset="d",
        experiment="e",
        split=2,
        modality="flow",
        ids=NAMES,
        labels=np.array([1, 0, 1]),
        values=np.random.default_rng(0).normal(size=(3, 2)).astype(np.float32),
        classes=("a", os.fsdecode(b"\xff")),
        model="ab" * 32,
        shards={"backend": "native", "size": [340, 256]},
        protocol={
            "segments": 25,
            "crops": 10,
            "crop_size": 224,
            "snippet_sampling": "segment_centres",
        },
        snippets=SNIPPETS,
        maxima=SNIPPETS + 1,
        counts=np.array([4, 2, 6], np.int32),
        starts=np.arange(12, dtype=np.int32),
        times=np.arange(12) / 29.97,
    )


@pytest.mark.parametrize("labels", [np.array([1, 0, 1]), np.array([[0, 1], [1, 1], [1, 0]], bool)])
def test_scores_come_back_bit_for_bit(tmp_path, scores, labels):
    scores = replace(scores, labels=labels, loss="bce")
    write_scores(tmp_path / "s.h5", scores)
    found = read_scores(tmp_path / "s.h5")
    for field in fields(Scores):
        one, other = getattr(found, field.name), getattr(scores, field.name)
        if isinstance(other, np.ndarray):
            assert np.array_equal(one, other) and one.dtype == other.dtype
        else:
            assert one == other


@pytest.mark.parametrize("version", [1, 2])
def test_files_of_earlier_versions_are_still_read(tmp_path, scores, version):
    write_scores(tmp_path / "s.h5", scores)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file.attrs["format_version"] = version
        for name in ("snippets", "maxima", "counts", "starts", "times"):
            del file[name]
        if version == 2:
            file["snippets"] = SNIPPETS.reshape(3, 4, 2)
            file["starts"] = np.arange(12).reshape(3, 4)
    found = read_scores(tmp_path / "s.h5")
    assert np.array_equal(found.values, scores.values) and found.times is None
    if version == 1:
        assert found.snippets is None and found.starts is None
    else:
        assert np.array_equal(found.snippets, SNIPPETS)
        assert np.array_equal(found.repooled("max").values, SNIPPETS.reshape(3, 4, 2).max(1))


@pytest.mark.parametrize(("pooling", "which"), [("max", SNIPPETS), ("window", SNIPPETS + 1)])
def test_scores_of_snippets_are_pooled_without_a_new_test(tmp_path, scores, pooling, which):
    """`window` pools the maxima over the crops; in videos as short as these all is in its mean."""
    write_scores(tmp_path / "s.h5", scores)
    found = read_scores(tmp_path / "s.h5", pooling)
    expected = [pool(video, pooling) for video in np.split(which, [4, 6])]
    assert np.array_equal(found.values, np.float32(expected))
    assert found.protocol == {**scores.protocol, "pooling": pooling}
    assert found.repooled(pooling) is found


def test_a_pooling_whose_scores_are_not_there_is_refused(scores):
    lacking = replace(scores, maxima=None)
    with pytest.raises(UserError, match=r"fusion\.pooling: window: the flow .*protocol: dense"):
        lacking.repooled("window")
    with pytest.raises(UserError, match=r"fusion\.pooling: max.* score the videos again$"):
        replace(lacking, snippets=None).repooled("max")


def test_the_same_scores_give_the_same_file(tmp_path, scores):
    write_scores(tmp_path / "1.h5", scores)
    write_scores(tmp_path / "2.h5", scores)
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_the_file_is_open_to_other_programs(tmp_path, scores):
    write_scores(tmp_path / "s.h5", scores)
    with h5py.File(tmp_path / "s.h5") as file:
        assert set(file) == {
            *("ids", "labels", "scores", "snippets", "maxima", "counts", "starts", "times")
        }
        assert file["scores"].dtype == np.float32 and file["scores"].shape == (3, 2)
        assert file["ids"][0] == b"c/1"
        assert file["snippets"].shape == (12, 2) and file["snippets"].fletcher32


def test_damage_is_told_and_names_the_file(tmp_path, scores):
    many = replace(
        scores,
        ids=tuple(f"c/{n}" for n in range(300)),
        labels=np.arange(300),
        values=np.ones((300, 2), np.float32),
        snippets=np.random.default_rng(1).normal(size=(900, 2)).astype(np.float32),
        maxima=None,
        counts=np.full(300, 3, np.int32),
        starts=None,
        times=None,
    )
    path = tmp_path / "s.h5"
    write_scores(path, many)
    whole = path.read_bytes()
    told = 0
    protocol = whole.index(b'"segments"')
    for position in (*range(0, len(whole), 149), protocol, protocol + 1):
        data = bytearray(whole)
        data[position] ^= 0x10
        path.write_bytes(data)
        try:
            found = read_scores(path)
        except UserError as error:
            assert "s.h5: " in str(error)
            told += 1
        else:
            assert found.ids == many.ids and found.protocol == many.protocol
            assert np.array_equal(found.values, many.values)
            assert np.array_equal(found.labels, many.labels)
            assert np.array_equal(found.snippets, many.snippets)
    assert told > 20


@pytest.mark.parametrize("data", [b"", b"no HDF5" * 99])
def test_another_file_is_refused(tmp_path, data):
    (tmp_path / "s.h5").write_bytes(data)
    with pytest.raises(UserError, match=r"s\.h5: cannot be read"):
        read_scores(tmp_path / "s.h5")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"s\.h5: there is no such score file"):
        read_scores(tmp_path / "s.h5")


def test_another_version_is_refused(tmp_path, scores, monkeypatch):
    monkeypatch.setattr("tsn.evaluation.scores.FORMAT_VERSION", 4)
    write_scores(tmp_path / "s.h5", scores)
    monkeypatch.undo()
    with pytest.raises(UserError, match=r"s\.h5: another version"):
        read_scores(tmp_path / "s.h5")
