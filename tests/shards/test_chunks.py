"""Chunks made outside HDF5 are what HDF5's own filters would check and decompress."""

import h5py
import hdf5plugin  # noqa: F401  registers Zstandard
import numpy as np
import pytest

from tsn.datasets.records import Video
from tsn.shards.build import build_shard, flow_part
from tsn.shards.chunks import compress_fields, fletcher32
from tsn.shards.format import write_shard


@pytest.mark.parametrize(
    "data",
    [
        b"\1",
        b"\0" * 10,
        b"\xff" * 4,
        b"\xff\xff" * 65535 + b"\1",
        b"\1\2" + b"\0" * 2 * 65535,
        np.random.default_rng(0).bytes(50001),
    ],
)
def test_the_checksum_is_hdf5s(tmp_path, data):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        values = np.frombuffer(data, np.uint8)
        stored = file.create_dataset("d", data=values, chunks=values.shape, fletcher32=True)
        _, chunk = stored.id.read_direct_chunk((0,))
    assert fletcher32(data).to_bytes(4, "little") == chunk[len(data) :]


def test_plain_h5py_reads_the_fields(tmp_path):
    fields = np.random.default_rng(1).integers(0, 256, (3, 2, 31, 45), np.uint8)
    fields[1] = 128
    with write_shard(tmp_path / "s.h5", "flow", (45, 31), {}, {}) as writer:
        writer.add("a/1", "a", [compress_fields(fields[:2]), fields[2:]])
    with h5py.File(tmp_path / "s.h5") as file:
        np.testing.assert_array_equal(file["flow"][:], fields)


def test_the_shard_does_not_depend_on_the_number_of_threads(tmp_path):
    rng = np.random.default_rng(2)
    fields = {f"a/{n}": rng.integers(0, 256, (n + 1, 2, 16, 24), np.uint8) for n in range(6)}
    videos = [Video(name, "", "a") for name in fields]

    def parts_of(video):
        yield flow_part(fields[video.id], 0.0)

    shards = []
    for threads in (1, 4):
        build_shard(tmp_path / "s.h5", "flow", (24, 16), videos, {}, parts_of, at_once=threads)
        shards.append((tmp_path / "s.h5").read_bytes())
    assert shards[0] == shards[1]
