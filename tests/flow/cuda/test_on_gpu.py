"""The GPU engine on a GPU: these tests run by themselves where there is one."""

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow import opencv_cuda
from tsn.flow.algorithms import create_estimator
from tsn.flow.cpu.cpu_engine import NativeEngine
from tsn.flow.cuda.cuda_engine import CudaEngine
from tsn.flow.opencv_cuda import OpenCVCudaEngine
from tsn.flow.quantise import clipped_fraction, quantise
from tsn.video.decode import read_frames

pytestmark = pytest.mark.gpu

CLIPS = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "ucf101-mini" / "UCF-101"

VARIANTS = (
    TVL1Params(),
    TVL1Params(median_filter=5),
    TVL1Params(gamma=0.1),
    TVL1Params(variant="opencv_cuda"),
    TVL1Params(variant="opencv_cuda", gamma=0.1),
)


@pytest.fixture
def clip(render):
    """Frames of 340x256, uint8 (41, 256, 340): pairs that move, stand still and are cuts."""
    frames = [render(256, 340, (1.1 * t, -0.4 * t), seed=t // 9) for t in range(30)]
    return np.stack([*frames, *[frames[-1]] * 3, *frames[:8]])


@pytest.mark.parametrize("params", VARIANTS)
def test_a_pair_does_not_depend_on_its_batch_or_on_chance(clip, params):
    together = CudaEngine(params, batch=128).sequence(clip)
    np.testing.assert_array_equal(CudaEngine(params, batch=128).sequence(clip), together)
    np.testing.assert_array_equal(CudaEngine(params, batch=1).sequence(clip), together)


def test_threads_get_the_flow_of_their_own_clips(clip):
    engine = CudaEngine(TVL1Params(), batch=7)
    clips = [clip[k : k + 12] for k in range(8)] + [clip[:5, :90, :120].copy()] * 4
    expected = [CudaEngine(TVL1Params()).sequence(frames) for frames in clips]
    with ThreadPoolExecutor(4) as threads:
        for flow, alone in zip(threads.map(engine.sequence, clips), expected, strict=True):
            np.testing.assert_array_equal(flow, alone)


@pytest.mark.parametrize("params", VARIANTS)
def test_bytes_are_those_of_the_quantised_flow(clip, params):
    engine = CudaEngine(params)
    flow = engine.sequence(clip)
    data, clipped = engine.quantised(clip, 1.0)
    np.testing.assert_array_equal(data, quantise(flow, 1.0))
    assert clipped == pytest.approx(clipped_fraction(flow, 1.0)) and clipped > 0


def test_the_flow_of_frames_on_the_gpu_stays_there(clip):
    engine = CudaEngine(TVL1Params())
    with torch.inference_mode():
        flow = engine.sequence(torch.from_numpy(clip).cuda())
    assert flow.is_cuda
    np.testing.assert_array_equal(flow.cpu().numpy(), engine.sequence(clip))


def test_bytes_of_frames_on_the_gpu_stay_there_at_every_step(clip):
    estimator = create_estimator("tvl1", backend="native_cuda", step=2)
    data, _ = estimator.quantised(torch.from_numpy(clip).cuda())
    assert data.is_cuda
    np.testing.assert_array_equal(data.cpu().numpy(), quantise(estimator(clip)))


@pytest.mark.parametrize("variant", ["opencv", "opencv_cuda"])
def test_one_warp_of_one_level_is_the_cpus(clip, variant):
    params = TVL1Params(pyramid_levels=1, warps=1, iterations=30, epsilon=0.0, variant=variant)
    gpu, cpu = CudaEngine(params).sequence(clip[:9]), NativeEngine(params, 4).sequence(clip[:9])
    assert np.abs(gpu - cpu).max() < 1e-3


@pytest.mark.skipif(not CLIPS.is_dir(), reason="no real clips beside the repository")
@pytest.mark.parametrize("variant", ["opencv", "opencv_cuda"])
@pytest.mark.parametrize("epsilon", [0.0, 0.01])
def test_the_gpu_differs_from_the_cpu_as_the_cpu_does_from_itself(epsilon, variant):
    # TV-L1 amplifies rounding where a scene is ambiguous: 0.0001 grey levels are the measure.
    params = TVL1Params(epsilon=epsilon, iterations=300 if epsilon else 30, variant=variant)
    gpu, cpu = CudaEngine(params), NativeEngine(params, 8)
    rng = np.random.default_rng(0)
    ours, own = [], []
    for path in sorted(CLIPS.rglob("*.avi"))[::4]:
        frames = np.stack(list(islice(read_frames(path, (340, 256), "grey"), 4))).astype(np.float32)
        noisy = frames + rng.uniform(-1e-4, 1e-4, frames.shape).astype(np.float32)
        flow = cpu.sequence(frames)
        ours.append(np.abs(gpu.sequence(frames) - flow).mean())
        own.append(np.abs(cpu.sequence(noisy) - flow).mean())
    assert np.mean(ours) < 1.5 * np.mean(own)
    assert np.median(ours) < 0.02


@pytest.mark.skipif(opencv_cuda.why_unavailable() is not None, reason="no OpenCV with CUDA here")
@pytest.mark.skipif(not CLIPS.is_dir(), reason="no real clips beside the repository")
def test_the_variant_of_opencv_cuda_is_opencv_cuda():
    ours = CudaEngine(TVL1Params(variant="opencv_cuda"))
    theirs = OpenCVCudaEngine(TVL1Params(), 4)
    apart, near = [], []
    for path in sorted(CLIPS.rglob("*.avi"))[::4]:
        frames = np.stack(list(islice(read_frames(path, (340, 256), "grey"), 4)))
        flow, expected = ours.sequence(frames), theirs.sequence(frames)
        apart.append(np.hypot(*np.moveaxis(flow - expected, 1, 0)).mean())
        near.append((abs(quantise(flow).astype(int) - quantise(expected)) <= 1).mean())
    assert np.mean(apart) < 0.01
    assert np.mean(near) >= 0.995
