"""Caches need not be writable; Numba's is written by one process at a time."""

import fcntl
import logging
import os
from pathlib import Path

import numba
import numba.core.registry
import pytest

from tsn.config.tvl1_params import TVL1Params
from tsn.flow import camera, features, homography, warped
from tsn.flow.cpu import cpu_engine, pyramid, solver, warp
from tsn.flow.tvl1 import TVL1
from tsn.runtime.caches import compiling, ensure_numba_cache, writable_cache


@pytest.fixture
def package(tmp_path, monkeypatch) -> Path:
    """A package whose folder and whose user's home cannot be written, also by a superuser."""
    (tmp_path / "__pycache__").touch()
    (tmp_path / "home").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr("numba.config.CACHE_DIR", "")
    return tmp_path


def test_a_temporary_folder_takes_the_place_of_one_that_is_read_only(package, caplog):
    with caplog.at_level(logging.WARNING):
        ensure_numba_cache(package)
        ensure_numba_cache(package)
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_dir()
    assert os.environ["NUMBA_CACHE_DIR"] == numba.config.CACHE_DIR  # it is imported already
    assert [record.message.count("__pycache__") for record in caplog.records] == [1]


@pytest.mark.parametrize("writable", ["__pycache__", "home"])
def test_a_cache_that_can_be_written_is_used(package, writable, caplog):
    (package / writable).unlink()
    ensure_numba_cache(package)
    assert "NUMBA_CACHE_DIR" not in os.environ and not caplog.records


def test_no_folder_called_tilde_is_made_for_a_user_without_a_home(package, monkeypatch):
    monkeypatch.chdir(package)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    ensure_numba_cache(package)
    assert writable_cache([Path("~/.cache/torch")], "TORCH_HOME", "time").is_absolute()
    assert not (package / "~").exists()


def test_a_cache_of_anything_may_be_temporary(package, caplog):
    found = writable_cache([package / "home"], "SOME_HOME", "it is slow")
    assert found.is_dir()
    assert [record.message for record in caplog.records] == [
        f"{package}/home cannot be written: it is slow; set SOME_HOME to a folder that can"
    ]


def is_locked(file: Path) -> bool:
    with file.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_one_process_compiles_at_a_time(package):
    (package / "__pycache__").unlink()
    with compiling(package):
        assert is_locked(package / "__pycache__" / "tsn.lock")
    assert not is_locked(package / "__pycache__" / "tsn.lock")


def test_compiling_goes_on_where_there_is_no_cache(package):
    with compiling(package):
        pass


def test_compiling_goes_on_where_the_lock_cannot_be_opened(package):
    (package / "__pycache__").unlink()
    (package / "__pycache__" / "tsn.lock").mkdir(parents=True)
    with compiling(package):
        pass


def compiled(*modules: object) -> dict[str, int]:
    """How many versions there are of each function that is called from Python."""
    return {
        name: len(value.signatures)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, numba.core.registry.CPUDispatcher)
    }


@pytest.mark.parametrize("engine", ["flow", "warped flow"])
def test_all_is_compiled_when_the_lock_is_released(engine, monkeypatch):
    locked = []

    class Recorder:
        def __init__(self, folder: Path):
            assert folder.name == "flow"

        def __enter__(self):
            locked.append(True)

        def __exit__(self, *_):
            entries = ("iterate", "warp", "pack", "_resize", "_warp", "_describe", "_add_up")
            counts = compiled(*modules)
            assert all(counts.get(name, 1) for name in entries), counts

    if engine == "flow":
        modules = (solver, warp, pyramid)
        monkeypatch.setattr(cpu_engine, "compiling", Recorder)
        cpu_engine.NativeEngine(TVL1Params(), 1)
    else:
        modules = (camera, features, homography)
        monkeypatch.setattr(warped, "compiling", Recorder)
        warped.WarpedFlow(TVL1(backend="opencv"))
    assert locked
