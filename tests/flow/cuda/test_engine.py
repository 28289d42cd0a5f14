"""The GPU engine against the CPU's: its kernels run here, thread by thread, without a GPU."""

import itertools
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow.camera import CameraMotion
from tsn.flow.cpu.cpu_engine import NativeEngine
from tsn.flow.cuda import lane
from tsn.flow.cuda.cuda_engine import CudaEngine
from tsn.flow.cuda.workspace import Workspace
from tsn.flow.estimator import FlowEstimator
from tsn.flow.quantise import clipped_fraction, quantise
from tsn.flow.warped import WarpedFlow
from tsn.runtime.errors import UserError

pytestmark = pytest.mark.slow

FEW = TVL1Params(warps=2, iterations=60)
"""Enough for every path: levels, warps, several launches, pairs that converge within one."""


@pytest.fixture
def clip(render):
    """Four frames with two motions, wider and higher than one block of the iterations."""
    frames = np.stack([render(58, 75, (1.7 * t, 0.8 * t)) for t in range(4)])
    for t in range(4):
        frames[t, 20:50, 30 - t : 70 - t] = render(58, 75, seed=1)[20:50, 30:70]
    return frames


def difference(a, b):
    return np.hypot(*np.moveaxis(a - b, 1, 0))


@pytest.mark.parametrize(
    "params",
    [
        FEW,
        TVL1Params(warps=2, iterations=60, median_filter=5),
        TVL1Params(warps=1, iterations=60, median_filter=5, gamma=0.2),
        TVL1Params(
            pyramid_levels=2, scale_step=0.5, warps=2, iterations=20, lambda_=0.05, theta=0.2
        ),
        TVL1Params(warps=1, epsilon=0.0, iterations=20),
        TVL1Params(warps=2, pyramid_levels=3, iterations=60, variant="opencv_cuda"),
        TVL1Params(warps=1, pyramid_levels=2, iterations=20, variant="opencv_cuda", gamma=0.2),
    ],
)
def test_the_flow_is_the_cpus_to_a_mean_of_a_thousandth_pixel(emulate, clip, params):
    gpu, cpu = emulate(params).sequence(clip[:3]), NativeEngine(params, 1).sequence(clip[:3])
    assert np.abs(cpu).max() > 1
    assert difference(gpu, cpu).mean() < 1e-4  # ten times closer than what is promised


def test_a_pair_does_not_depend_on_its_batch(emulate, clip):
    together = emulate(FEW, batch=8).sequence(clip)
    np.testing.assert_array_equal(emulate(FEW, batch=1).sequence(clip), together)
    alone = emulate(FEW).pairs(clip[1:2], clip[2:3])
    np.testing.assert_array_equal(alone[0], together[1])


def test_an_engine_can_be_used_again_with_other_frames(emulate, clip):
    engine = emulate(FEW)
    first = engine.sequence(clip[:2])
    engine.sequence(clip[1:, :33, :47])
    np.testing.assert_array_equal(engine.sequence(clip[:2]), first)


def test_iterations_end_where_a_look_after_each_would_end_them(emulate, clip):
    # Converged within a launch: a number of iterations that no multiple of STEPS is.
    until = TVL1Params(pyramid_levels=1, warps=1, epsilon=0.05)
    flow = emulate(until).pairs(clip[:1], clip[1:2])
    fixed = [
        emulate(TVL1Params(pyramid_levels=1, warps=1, epsilon=0.0, iterations=n)).pairs(
            clip[:1], clip[1:2]
        )
        for n in range(1, 30)
    ]
    ends = [n for n, other in enumerate(fixed, 1) if np.array_equal(other, flow)]
    changes = [np.square(b - a).sum() for a, b in itertools.pairwise(fixed)]
    threshold = 0.05**2 * clip[0].size
    assert ends == [2 + next(n for n, change in enumerate(changes) if change <= threshold)]


@pytest.mark.parametrize("step", [1, 2])
def test_bytes_are_those_of_the_quantised_flow(emulate, clip, step):
    engine = emulate(FEW)
    flow = engine.pairs(clip[:-step], clip[step:])
    data, clipped = engine.quantised(clip, 1.5, step)
    np.testing.assert_array_equal(data, quantise(flow, 1.5))
    assert clipped == pytest.approx(clipped_fraction(flow, 1.5))
    assert 0 < clipped < 1


@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 7), (5, 1), (2, 2), (3, 16), (17, 16), (33, 53), (32, 64), (33, 65), (59, 125)],
)
def test_any_size_from_one_pixel_up_is_the_cpus(emulate, size):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size)).astype(np.uint8)
    params = TVL1Params(warps=1, iterations=12, median_filter=5)
    flow = emulate(params).sequence(frames)
    assert flow.shape == (2, 2, *size)
    assert difference(flow, NativeEngine(params, 1).sequence(frames)).max() < 1e-2


def test_identical_frames_have_exactly_zero_flow(emulate, clip):
    assert not emulate(TVL1Params(warps=1)).sequence(np.stack([clip[0], clip[0]])).any()


def test_floats_on_the_byte_scale_give_the_flow_of_the_bytes(emulate, clip):
    engine = emulate(FEW)
    flow = engine.sequence(clip[:2])
    np.testing.assert_array_equal(engine.sequence(clip[:2].astype(np.float32)), flow)


def test_pairs_in_work_at_the_same_time_do_not_disturb_each_other(emulate, clip):
    # Identical frames converge at once: their pairs are on other levels than their neighbours.
    frames = clip[[0, 0, 1, 1, 2, 2, 3, 3, 0, 1, 2]]
    params = TVL1Params(warps=2, iterations=60)
    together = emulate(params, batch=16).sequence(frames)
    np.testing.assert_array_equal(emulate(params, batch=1).sequence(frames), together)


def test_a_batch_is_solved_by_one_launch(emulated_launcher, clip):
    launcher = emulated_launcher(2)
    CudaEngine(FEW, launcher).sequence(clip)
    assert launcher.launched.count("solve") == 1


def test_warped_flow_of_clips_is_one_launch(emulated_launcher, clip, monkeypatch):
    """Two snippets of the same video, whose camera moves in every pair."""

    class Emulated(FlowEstimator):
        def _made_by(self):
            return {}

    moved = np.array([[1, 0, -1.7], [0, 1, -0.8], [0, 0, 1]])
    motion = CameraMotion(moved, 99, True)
    monkeypatch.setattr("tsn.flow.warped.estimate_homography", lambda *_: motion)
    launcher, flow = emulated_launcher(2), np.zeros((2, 2, 58, 75), np.float32)
    warped_flow = WarpedFlow(Emulated(CudaEngine(FEW, launcher)))
    together = warped_flow(clip, flow, pairs=(np.array([0, 2]), np.array([1, 3])))
    assert launcher.launched.count("solve") == 1
    for n, first in enumerate((0, 2)):
        alone = warped_flow(clip[first : first + 2], flow[:1])
        np.testing.assert_array_equal(alone[0], together[n])


def test_the_work_for_a_clip_is_counted(emulated_launcher):
    """Six iterations in two rounds of one tile of 64 x 32 pixels."""
    params = TVL1Params(pyramid_levels=1, warps=1, epsilon=0.0, iterations=6)
    workspace = Workspace(emulated_launcher(2), 20, 40, params, 3)
    noise = torch.rand(3, 20, 40, generator=torch.Generator().manual_seed(0))
    workspace.load(255 * noise)
    workspace.solve(torch.empty(2, 2, 20, 40), 1)
    moved = 4 * (9 + 6) * 64 * 32
    expected = {"useful": 800 / 2048, "bytes": 2 * moved / (6 * 800), "iterations": 6}
    assert workspace.work() == pytest.approx(expected)


@pytest.mark.parametrize(
    "mode",
    [
        lambda: torch.inference_mode(),
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: default_dtype(torch.float64),
    ],
)
def test_the_modes_of_a_caller_change_nothing(emulate, clip, mode):
    params, frames = TVL1Params(pyramid_levels=1, warps=1, iterations=8), clip[:2, :20, :24].copy()
    engine = emulate(params)
    with mode():
        inside = engine.sequence(frames)
    np.testing.assert_array_equal(engine.sequence(frames), inside)
    assert inside.any()


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    yield
    torch.set_default_dtype(before)


def test_a_batch_that_does_not_fit_the_memory_is_halved_down_to_one_pair(
    emulate, clip, monkeypatch
):
    params, frames = TVL1Params(pyramid_levels=1, warps=1, iterations=8), clip[:, :20, :24].copy()
    expected = emulate(params).sequence(frames)
    room = 2

    def workspace(launcher, height, width, params, frames):
        if frames > room:
            raise torch.OutOfMemoryError
        return Workspace(launcher, height, width, params, frames)

    monkeypatch.setattr(lane, "Workspace", workspace)
    np.testing.assert_array_equal(emulate(params).sequence(frames), expected)
    room = 1
    with pytest.raises(UserError, match="not enough free memory for frames of 24x20"):
        emulate(params).sequence(frames)
