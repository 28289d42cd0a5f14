"""All shards of a stream as one store."""

import os
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tsn.runtime.errors import UserError
from tsn.shards.format import write_shard
from tsn.shards.reader import ShardReader
from tsn.shards.store import ShardSet, differing_key


def write(path, fingerprint, **videos):
    with write_shard(path, "flow", (8, 6), fingerprint, {}) as writer:
        for name, value in videos.items():
            if value is None:
                writer.quarantine(name, "c", "empty", "no bytes")
            else:
                writer.add(name, "c", [np.full((3, 2, 6, 8), value, np.uint8)])
    return path


@pytest.fixture
def store(tmp_path) -> ShardSet:
    one = write(tmp_path / "0.h5", {"by": "x"}, a=1, bad=None)
    return ShardSet([one, write(tmp_path / "1.h5", {"by": "x"}, b=2)])


def test_videos_are_found_in_whichever_shard(store):
    assert (store.stream, store.size, store.fingerprint) == ("flow", (8, 6), {"by": "x"})
    for name, value in (("b", 2), ("a", 1)):
        rows = store.read(name, [2, 0])
        assert rows.shape == (2, 6, 8, 2) and np.all(rows == value)


def test_channels_come_last_with_x_first(tmp_path):
    rows = np.zeros((1, 2, 6, 8), np.uint8)
    rows[:, 0] = 7
    with write_shard(tmp_path / "0.h5", "flow", (8, 6), {}, {}) as writer:
        writer.add("a", "c", [rows])
    assert ShardSet([tmp_path / "0.h5"]).read("a", [0])[0, 0, 0].tolist() == [7, 0]


def test_a_quarantined_video_is_known_and_not_usable(store):
    assert store.usable("a") and not store.usable("bad")
    assert (store.length("a"), store.length("bad")) == (3, 0)


@pytest.mark.parametrize("ask", [ShardSet.usable, ShardSet.length, lambda s, v: s.read(v, [0])])
def test_a_video_that_no_shard_knows_is_named(store, ask):
    with pytest.raises(UserError, match="c/nobody"):
        ask(store, "c/nobody")


def test_shards_that_were_made_differently_are_refused(tmp_path):
    one = write(tmp_path / "0.h5", {"by": "opencv", "scales": 5}, a=1)
    two = write(tmp_path / "1.h5", {"by": "native", "scales": 5}, b=1)
    with pytest.raises(UserError, match=r"1\.h5.*by = 'native'.*0\.h5.*'opencv'"):
        ShardSet([one, two])


def test_a_video_that_two_shards_hold_is_refused(tmp_path):
    one, two = (write(tmp_path / f"{n}.h5", {}, a=n) for n in range(2))
    with pytest.raises(UserError, match=r"0\.h5 and .*1\.h5 both hold a;"):
        ShardSet([one, two])


def test_a_key_that_only_one_fingerprint_has_is_a_difference():
    assert differing_key({"a": 1, "b": 2}, {"a": 1}) == "b"
    assert differing_key({"a": 1}, {"a": 1, "c": None, "d": 3}) == "d"


def test_no_shard_at_all_is_an_error():
    with pytest.raises(UserError, match="no shard"):
        ShardSet([])


def test_threads_may_read_at_a_time(tmp_path, monkeypatch):
    """Also where there are more files than are kept open."""
    read = ShardReader.read

    def slow(self, rows, size):
        time.sleep(0.001)  # time for others to close the file
        return read(self, rows, size)

    monkeypatch.setattr(ShardReader, "read", slow)
    monkeypatch.setattr("tsn.shards.store.OPEN_FILES", 2)
    paths = [write(tmp_path / f"{n}.h5", {}, **{f"v{n}": n}) for n in range(5)]
    store = ShardSet(paths)
    with ThreadPoolExecutor(4) as pool:
        numbers = [n % 5 for n in range(1600)]
        found = pool.map(lambda n: int(store.read(f"v{n}", [1]).max()), numbers)
        assert list(found) == numbers


def test_a_copy_reads_on_its_own(store):
    store.read("a", [0])
    assert np.all(pickle.loads(pickle.dumps(store)).read("a", [0]) == 1)


class Rows(torch.utils.data.Dataset):
    def __init__(self, store):
        self.store = store

    def __len__(self):
        return 8

    def __getitem__(self, number):
        return int(self.store.read("ab"[number % 2], [0]).max())


def test_forked_workers_open_the_files_for_themselves(store):
    store.read("a", [0])  # the parent has a file open
    loader = torch.utils.data.DataLoader(
        Rows(store), batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    assert list(loader) == [1, 2] * 4


def test_only_so_many_files_are_open_at_a_time(tmp_path, monkeypatch):
    """A data set may have more shards than a process may open files."""
    monkeypatch.setattr("tsn.shards.store.OPEN_FILES", 2)
    paths = [write(tmp_path / f"{n}.h5", {"by": "x"}, **{f"v{n}": n}) for n in range(5)]
    store = ShardSet(paths)
    for n in (0, 1, 0, 2, 3, 4, 0, 3):
        assert np.all(store.read(f"v{n}", [1]) == n)
        if sys.platform == "linux":
            names = [os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()]
            assert sum(name.startswith(str(tmp_path)) for name in names) <= 2


def test_a_row_of_the_next_video_is_not_read(tmp_path):
    store = ShardSet([write(tmp_path / "0.h5", {}, a=1, b=2)])
    with pytest.raises(IndexError):
        store.read("a", [3])
    with pytest.raises(IndexError):
        store.read("b", [-1])
