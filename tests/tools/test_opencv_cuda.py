"""`make opencv-cuda` up to the hour of compiling: what it asks, refuses and prepares."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("opencv_cuda", ROOT / "tools/opencv_cuda.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """A function that makes shell programs, the only ones on the PATH besides the system's."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CXX", raising=False)

    def add(name, body):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    return add


def test_without_a_compiler_it_says_what_to_install(tool, programs, tmp_path):
    with pytest.raises(tool.BuildError, match=r"no C\+\+ compiler.*package g\+\+"):
        tool.build(tmp_path / "build", "9.0", 1)
    assert not (tmp_path / "build").exists()
    found = programs("g++", "exit 0")
    assert tool.find_compiler() == str(found)


def test_a_folder_that_a_shell_would_take_apart_is_refused(tool, tmp_path):
    with pytest.raises(tool.BuildError, match="make opencv-cuda FOLDER=/tmp/opencv"):
        tool.build(tmp_path / "My Drive", "9.0", 1)


def test_the_compiler_may_be_named(tool, programs, monkeypatch):
    programs("g++", "exit 0")
    monkeypatch.setenv("CXX", "clang++")
    with pytest.raises(tool.BuildError, match=r"no C\+\+ compiler \(clang\+\+\)"):
        tool.find_compiler()


def test_the_gpus_are_asked_for_their_compute_capabilities(tool, programs):
    programs("nvidia-smi", 'test "$1" = --query-gpu=compute_cap && printf "9.0\\n8.6\\n9.0\\n"')
    assert tool.ask_capabilities() == ["8.6", "9.0"]


@pytest.mark.parametrize(
    ("body", "words"),
    [(None, "does not run here"), ("echo 'No devices were found'; exit 6", "No devices")],
)
def test_without_a_gpu_it_says_how_to_name_one(tool, programs, body, words):
    if body:
        programs("nvidia-smi", body)
    with pytest.raises(tool.BuildError, match=rf"{words}.*make opencv-cuda ARCH=9\.0"):
        tool.ask_capabilities()


@pytest.mark.parametrize("text", ["9", "sm_90", "8.6;x", ","])
def test_what_is_no_compute_capability_is_refused(tool, text):
    with pytest.raises(tool.BuildError, match=r"no compute capability: write ARCH=8\.6"):
        tool.parse_capabilities(text)
    assert tool.parse_capabilities("9.0, 8.6") == ["8.6", "9.0"]


@pytest.fixture
def toolkit(tmp_path):
    """NVIDIA's packages as pip installs them, with a compiler that knows two GPUs."""
    root = tmp_path / "environment/lib/python3.11/site-packages/nvidia/cu13"
    for path in ("bin", "lib", "include"):
        (root / path).mkdir(parents=True)
    (root / "lib/libnppc.so.13").touch()
    nvcc = root / "bin/nvcc"
    nvcc.write_text("#!/bin/sh\nprintf 'sm_75\\nsm_120\\n'\n")
    nvcc.chmod(0o755)
    return root


def test_the_toolkit_gets_the_layout_that_cmake_looks_for(tool, toolkit, tmp_path):
    for _ in range(2):
        assert tool.complete_toolkit(tmp_path) == toolkit
    assert (toolkit / "lib64/libnppc.so").resolve() == toolkit / "lib/libnppc.so.13"


def test_a_gpu_that_nvcc_does_not_know_is_refused_before_the_build(tool, toolkit):
    tool.check_capabilities(["7.5", "12.0"], toolkit)
    with pytest.raises(tool.BuildError, match=r"compute capability 6\.1: it knows 7\.5, 12\.0"):
        tool.check_capabilities(["6.1"], toolkit)


def test_without_nvcc_it_says_what_to_remove(tool, toolkit, tmp_path):
    (toolkit / "bin/nvcc").unlink()
    with pytest.raises(tool.BuildError, match=f"nvcc does not run.*{tmp_path / 'environment'}"):
        tool.check_capabilities(["9.0"], toolkit)


def test_without_a_network_it_says_so(tool, programs, tmp_path):
    python = programs("python", "echo 'no matching distribution' >&2; exit 1")
    with pytest.raises(tool.BuildError, match=r"no network: .*install --no-deps nvidia-npp"):
        tool.install(tmp_path / "some.whl", python)


def test_a_failed_compilation_names_the_log(tool, programs, tmp_path):
    body = "echo '[7/700] Building'; echo 'error: no such type'; exit 1"
    python = programs("python", body)
    with pytest.raises(tool.BuildError, match=r"build failed: see .*build\.log"):
        tool.compile_wheel(tmp_path, tmp_path / "source", python, tmp_path, ["9.0"], 1)
    assert "no such type" in (tmp_path / "build.log").read_text()


def test_an_opencv_that_lacks_what_the_project_uses_is_told(tool, tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "module.py").write_text("cv2.resize(a); cv2.optflow.Nothing(); cv2.cuda.Neither\n")
    with pytest.raises(tool.BuildError, match=r"lacks cuda\.Neither, optflow\.Nothing\).*lock"):
        tool.check(Path(sys.executable), package)


def test_an_opencv_that_has_all_is_told_with_its_gpus(tool, tmp_path):
    (tmp_path / "module.py").write_text("cv2.resize(a); cv2.cuda.getCudaEnabledDeviceCount()\n")
    assert "finds" in tool.check(Path(sys.executable), tmp_path)
