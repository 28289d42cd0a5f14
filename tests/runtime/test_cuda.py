"""Why the GPU engine cannot run, and what to do: each cause with a driver that says so."""

import pytest

from tsn.runtime import cuda
from tsn.runtime.cuda_driver import Driver

H100 = [(9, 0)]


@pytest.fixture
def driver(monkeypatch):
    """A function that sets what the driver says and what CUDA the installed torch was built for."""

    def install(says: Driver | None, torch_cuda: str | None = "13.2") -> None:
        cuda._driver.cache_clear()
        cuda.why_unavailable.cache_clear()
        monkeypatch.setattr(cuda, "read_driver", lambda: says)
        monkeypatch.setattr(cuda.runpy, "run_path", lambda path: {"cuda": torch_cuda})

    yield install
    cuda._driver.cache_clear()
    cuda.why_unavailable.cache_clear()


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (None, "no NVIDIA driver"),
        (Driver(100, 13020), "no NVIDIA GPU here that may be used"),
        (Driver(0, 13020), "no NVIDIA GPU here that may be used"),
    ],
)
def test_without_a_gpu_there_is_nothing_to_install(driver, says, words):
    driver(says)
    assert words in cuda.why_unavailable()
    assert not cuda.gpu_is_there()


def test_a_driver_older_than_torch_is_named_with_both_versions(driver):
    driver(Driver(0, 12040, H100))
    assert cuda.why_unavailable() == (
        "the NVIDIA driver supports CUDA 12.4 and the installed torch was built for 13.2; update "
        "the driver, or install a torch built for CUDA 12"
    )
    assert cuda.gpu_is_there()


def test_a_driver_that_does_not_start_is_named_with_its_error(driver):
    driver(Driver(803))
    assert "does not start (CUDA error 803)" in cuda.why_unavailable()
    assert cuda.gpu_is_there()


def test_a_torch_without_cuda_beside_a_gpu_is_named(driver):
    driver(Driver(0, 13020, H100), torch_cuda=None)
    assert "install a torch built for CUDA" in cuda.why_unavailable()


def test_a_gpu_older_than_the_compiler_is_named_with_its_capability(driver):
    pytest.importorskip("cuda.bindings.nvrtc")
    driver(Driver(0, 13020, [(3, 5)]))
    assert "compute capability 3.5" in cuda.why_unavailable()


def test_a_missing_compiler_is_named_with_its_package(driver, monkeypatch):
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc")

    def missing():
        raise RuntimeError("Failed to load libnvrtc")

    monkeypatch.setattr(nvrtc, "nvrtcGetSupportedArchs", missing)
    driver(Driver(0, 13020, H100))
    assert "install the package nvidia-cuda-nvrtc" in cuda.why_unavailable()


def test_a_driver_that_suits_is_no_obstacle(driver):
    pytest.importorskip("cuda.bindings.nvrtc")
    driver(Driver(0, 13020, H100))
    assert cuda.why_unavailable() is None
