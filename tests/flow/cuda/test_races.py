"""The work queue under ThreadSanitizer, every CUDA thread a thread of its own, in random order."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.flow.cuda.emulator import EmulatedLauncher, write_sources
from tsn.config.tvl1_params import TVL1Params
from tsn.flow.cuda import workspace as workspaces
from tsn.flow.cuda.workspace import Workspace

pytestmark = pytest.mark.slow

MAIN = Path(__file__).with_name("solve_main.cpp")
PARAMS = TVL1Params(pyramid_levels=2, warps=1, iterations=10, epsilon=0.05)
"""Two levels, tiles that are taken back, and pairs that wait for a slot."""

FENCE = "        fence();  // each thread's own"
"""Of `append_tiles`."""


class Recorder(EmulatedLauncher):
    """Writes the launch of `solve` to a file, with the memory of `tensors`, and runs it."""

    tensors: list[torch.Tensor]
    path: Path

    def launch(self, kernel, arguments, grid, block):
        if kernel == "solve":
            parts = [bytes(arguments), struct.pack("II", grid[0], len(self.tensors))]
            for tensor in self.tensors:
                data = tensor.numpy().tobytes()
                parts += [struct.pack("QQ", tensor.data_ptr(), len(data)), data]
            self.path.write_bytes(b"".join(parts))
        super().launch(kernel, arguments, grid, block)


@pytest.fixture(scope="module")
def launch(emulated_launcher, tmp_path_factory) -> tuple[Path, np.ndarray]:
    """A launch of three pairs as a file, and the flow that comes of it."""
    launcher = emulated_launcher(2)
    launcher.__class__, launcher.blocks = Recorder, 2
    launcher.path = tmp_path_factory.mktemp("races") / "launch"
    rng = np.random.default_rng(0)
    waves = np.add.outer(np.sin(np.arange(40) / 3), np.cos(np.arange(70) / 4))
    clip = [np.roll(waves, t, 1) * 50 + 128 + rng.normal(size=waves.shape) for t in range(4)]
    workspace = Workspace(launcher, 40, 70, PARAMS, 4)
    workspace.load(torch.from_numpy(np.stack(clip).astype(np.float32)))
    flow = torch.zeros(3, 2, 40, 70)
    launcher.tensors = [flow, *tensors_of(workspace)]
    workspace.solve(flow, 1)
    return launcher.path, flow.numpy()


def tensors_of(thing) -> list[torch.Tensor]:
    """All tensors that a workspace, or a part of it, holds."""
    if isinstance(thing, torch.Tensor):
        return [thing]
    inside = thing if isinstance(thing, list | tuple) else vars(thing).values()
    return [
        tensor
        for value in inside
        if isinstance(value, list | tuple | torch.Tensor | workspaces._Level | workspaces._Axes)
        for tensor in tensors_of(value)
    ]


def run(launch, folder, together, old="", new="", **environment) -> subprocess.CompletedProcess:
    """Run a launch, with the kernels' text changed; writes the flow to `folder`/flow.

    `together` threads are one to ThreadSanitizer. From GCC 13 on it tells 255 apart, and forgets
    accesses where there are more; a block has 256 of ours.
    """
    compiler = shutil.which("g++") or pytest.skip("needs g++")
    write_sources(2, "opencv", folder, MAIN.read_text())
    code = folder / "k.cpp"
    assert old in code.read_text()
    code.write_text(code.read_text().replace(old, new))
    flags = ("-std=c++17", "-O1", "-g", "-fsanitize=thread", "-fno-strict-aliasing", "-pthread")
    compiled = subprocess.run(
        [compiler, *flags, f"-DWATCHED_TOGETHER={together}", "-o", folder / "solve", code],
        capture_output=True,
        text=True,
    )
    if "cannot find -ltsan" in compiled.stderr:
        pytest.skip("needs g++ with ThreadSanitizer")
    assert compiled.returncode == 0, compiled.stderr
    return subprocess.run(
        [folder / "solve", launch, folder / "flow"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("together", [1, 32])
def test_nothing_is_ordered_by_luck_alone(launch, tmp_path, together):
    recorded, flow = launch
    done = run(recorded, tmp_path, together)
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.fromfile(tmp_path / "flow", np.float32), flow.flatten())


def test_a_missing_fence_is_found(launch, tmp_path):
    done = run(launch[0], tmp_path, 32, FENCE, "//", TSAN_OPTIONS="halt_on_error=1")
    assert "data race" in done.stderr
