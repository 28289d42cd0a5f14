"""`python -m tsn.verify`: what is damaged is named and, on request, removed."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from tsn.config.datasets import FolderDataset
from tsn.config.fields import plain
from tsn.datasets.build_index import index_dataset
from tsn.verify import main


@pytest.fixture
def results(tmp_path, tiny_set) -> Path:
    """An index, the shards of a tiny set."""
    folder = tmp_path / "results" / "tiny"
    for name in ("1.avi", "2.avi"):
        (tmp_path / "videos" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / "a" / name).touch()
    dataset = plain(FolderDataset("own", str(tmp_path / "videos"), shards=2))
    folder.mkdir(parents=True)
    index_dataset(
        dataset, tmp_path, "exclude", "quarantine", folder / "index.tsv", folder / "index.txt"
    )
    for stream, paths in tiny_set.shards.items():
        (folder / "shards" / stream).mkdir(parents=True)
        for number, path in enumerate(paths):
            shutil.copy(path, folder / "shards" / stream / f"{number:04d}.h5")
    return folder


def test_whole_files_are_counted(results, capsys):
    (results / "shards" / "rgb" / "._0000.h5").touch()  # as macOS leaves behind
    assert main([str(results)]) == 0
    assert "5 files" in capsys.readouterr().out


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_damaged_files_are_named_and_kept(results, capsys):
    flip(results / "shards" / "rgb" / "0001.h5")
    flip(results / "index.tsv")
    assert main([str(results)]) == 1
    printed = capsys.readouterr()
    assert "rgb/0001.h5" in printed.err and "index.tsv" in printed.err
    assert "2 damaged" in printed.out and "--remove" in printed.out
    assert (results / "shards" / "rgb" / "0001.h5").exists()


def test_damaged_files_and_no_others_are_removed_on_request(results, capsys):
    flip(results / "shards" / "flow" / "0000.h5")
    names = ("model.pt", "best.pt", "last.pt", "scores.h5", "held_out.h5", "features.h5")
    for name in names:
        path = results / "tsn" / "split1" / "flow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("neither a model nor scores")
    before = {path for path in results.rglob("*") if path.is_file()}
    assert main([str(results), "--remove"]) == 1
    gone = before - {path for path in results.rglob("*") if path.is_file()}
    assert {path.name for path in gone} == {"0000.h5", *names}
    assert "7 damaged" in capsys.readouterr().out
    assert main([str(results)]) == 0


def test_features_are_read(results, capsys):
    features = results / "tsn" / "split1" / "rgb" / "features.h5"
    features.parent.mkdir(parents=True)
    with h5py.File(features, "w") as file:
        values = np.random.default_rng(1).random((64, 64))
        file.create_dataset("a/features", data=values, fletcher32=True)
    assert main([str(results)]) == 0
    flip(features)
    assert main([str(results)]) == 1
    assert "features.h5: damaged on disk" in capsys.readouterr().err


def test_a_folder_without_results_is_a_mistake(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent", "file"])
def test_what_is_no_folder_is_a_mistake(tmp_path, capsys, name):
    (tmp_path / "file").touch()
    assert main([str(tmp_path / name)]) == 1
    assert f"{name}: is not a folder" in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named_and_not_removed(results, capsys, monkeypatch):
    shard = results / "shards" / "flow" / "0000.h5"
    real = Path.open

    def fail(path, *arguments, **options):
        if path == shard:
            raise OSError(5, "Input/output error", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", fail)
    assert main([str(results), "--remove"]) == 1
    printed = capsys.readouterr()
    assert "0000.h5: cannot be read (Input/output error)" in printed.err
    assert "5 files" in printed.out and "0 damaged, 1 unreadable" in printed.out
    assert shard.exists()
