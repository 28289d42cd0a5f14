"""HDF5 files of strangers: damage is found, and nothing leads out of the file."""

import json

import h5py
import numpy as np
import pytest

from tsn.runtime.errors import UserError
from tsn.shards.format import Shard, write_shard
from tsn.shards.hdf5 import SEALED, check_whole, seal

SIZE = (40, 30)


@pytest.fixture
def sealed(tmp_path):
    path = tmp_path / "results" / "set" / "shards" / "flow" / "0000.h5"
    rows = np.random.default_rng(1).integers(0, 256, (3, 2, 30, 40), dtype=np.uint8)
    with write_shard(path, "flow", SIZE, {"by": "x"}, {}) as writer:
        writer.add("a/1", "a", [rows])
    return path


def test_a_file_as_it_was_written_is_whole(sealed):
    check_whole([sealed])


def test_any_flipped_bit_is_found_and_the_command_named(sealed):
    whole = sealed.read_bytes()
    for position in [*range(0, 80, 7), *range(512, len(whole), 97)]:
        data = bytearray(whole)
        data[position] ^= 1
        sealed.write_bytes(data)
        with pytest.raises(UserError, match=r"0000\.h5.*tsn\.verify .*results/set --remove"):
            check_whole([sealed])


@pytest.mark.parametrize("length", [0, 100, 600, -1])
def test_a_cut_file_is_found(sealed, length):
    sealed.write_bytes(sealed.read_bytes()[:length])
    with pytest.raises(UserError, match="0000"):
        check_whole([sealed])


def test_all_damaged_and_absent_files_are_named(sealed, tmp_path):
    sealed.write_bytes(b"")
    with pytest.raises(UserError, match=r"0000\.h5, .*nothing\.h5"):
        check_whole([sealed, tmp_path / "nothing.h5"])


def test_a_file_is_sealed_as_it_is(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", **SEALED) as file:
        file["x"] = np.arange(5)
    with pytest.raises(UserError, match=r"a\.h5"):
        check_whole([tmp_path / "a.h5"])
    seal(tmp_path / "a.h5")
    check_whole([tmp_path / "a.h5"])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["x"][:].tolist() == list(range(5))


@pytest.fixture
def forge(sealed, tmp_path):
    """A function that replaces data sets of a good shard by what `make(file)` puts there."""

    def forged(stream, names, make):
        with h5py.File(tmp_path / "secret.h5", "w") as other:
            rows = np.full((3, 2, 30, 40), 7, np.uint8)
            other.create_dataset("flow", data=rows, chunks=(1, 2, 30, 40))
        (tmp_path / "secret").write_bytes(b"s" * 7200)
        with h5py.File(sealed, "r+") as file:
            if stream == "rgb":
                del file["flow"]
                file.attrs["stream"] = np.bytes_(stream)
                file.create_dataset("jpeg", data=np.zeros(9, np.uint8), chunks=(9,))
                file["offsets"] = np.zeros(4, np.int64)
            for name in names:
                del file[name]
            make(file)
        return sealed

    return forged


def virtual(file) -> None:
    layout = h5py.VirtualLayout((3, 2, 30, 40), "u1")
    layout[:] = h5py.VirtualSource(
        str(file.filename).replace("results/set/shards/flow/0000", "secret"), "flow", layout.shape
    )
    file.create_virtual_dataset("flow", layout)


def external(file) -> None:
    secret = str(file.filename).replace("results/set/shards/flow/0000.h5", "secret")
    file.create_dataset("flow", (3, 2, 30, 40), "u1", external=[(secret, 0, h5py.h5f.UNLIMITED)])


def link(file) -> None:
    file["flow"] = h5py.ExternalLink("../../../../secret.h5", "flow")


def jpeg_link(file) -> None:
    file["jpeg"] = h5py.ExternalLink("../../../../secret.h5", "flow")


def soft_link(file) -> None:
    file.move("videos", "elsewhere")
    file["videos"] = h5py.SoftLink("/elsewhere")


def group(file) -> None:
    file.create_group("flow")


def endless_table(file) -> None:
    kind = file["videos"].dtype
    del file["videos"]
    file.create_dataset("videos", (10**13,), kind, chunks=(100,))


def huge_fields(file) -> None:
    file.attrs["size"] = np.array([10**6, 10**6], np.int32)


def other_fields(file) -> None:
    file.attrs["size"] = np.array([44, 30], np.int32)


def huge_chunks(file) -> None:
    file.create_dataset("flow", (10**4, 2, 30, 40), "u1", chunks=(10**4, 2, 30, 40))


def rows_beyond_the_end(file) -> None:
    table = file["videos"][:]
    table["rows"] = 4
    file["videos"][...] = table


def endless_offsets(file) -> None:
    file.create_dataset("offsets", (10**13,), np.int64, chunks=(1000,))


def offsets_beyond_the_end(file) -> None:
    file["offsets"] = np.array([0, 3, 6, 10**12])


def backward_offsets(file) -> None:
    file["offsets"] = np.array([0, 9, 3, 9])


def wrong_text(file) -> None:
    file.attrs["stream"] = 5


def no_map(file) -> None:
    file.attrs["fingerprint"] = np.bytes_(json.dumps([1]))


@pytest.mark.parametrize(
    ("stream", "names", "make"),
    [
        ("flow", ["flow"], virtual),
        ("flow", ["flow"], external),
        ("flow", ["flow"], link),
        ("flow", ["flow"], group),
        ("flow", ["flow"], huge_chunks),
        ("flow", [], soft_link),
        ("flow", [], endless_table),
        ("flow", [], huge_fields),
        ("flow", [], other_fields),
        ("flow", [], rows_beyond_the_end),
        ("flow", [], wrong_text),
        ("flow", [], no_map),
        ("rgb", ["offsets"], endless_offsets),
        ("rgb", ["offsets"], offsets_beyond_the_end),
        ("rgb", ["offsets"], backward_offsets),
        ("rgb", ["jpeg"], jpeg_link),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_forged_shard_is_refused_before_its_rows_are_read(forge, stream, names, make):
    path = forge(stream, names, make)
    with pytest.raises(UserError, match=r"0000\.h5: damaged on disk"):
        Shard(path)


def test_a_forged_shard_differs_from_a_good_one_only_by_the_forgery(forge):
    with Shard(forge("rgb", [], lambda _: None)) as shard:
        assert shard.stream == "rgb"
