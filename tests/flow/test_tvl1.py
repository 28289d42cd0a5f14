import numpy as np
import pytest
import torch

from tsn.config.tvl1_params import TVL1Params
from tsn.flow import opencv_cuda, tvl1
from tsn.flow.algorithms import recreate_estimator
from tsn.flow.quantise import quantise
from tsn.flow.tvl1 import TVL1, resolve_backend
from tsn.runtime import cuda
from tsn.runtime.errors import UserError

ENGINES = ("native_cpu", "opencv")


@pytest.fixture
def clip(render):
    """Five frames of a texture that moves right and up by (1.3, -0.6) px a frame."""
    return np.stack([render(48, 64, (1.3 * t, -0.6 * t)) for t in range(5)])


@pytest.mark.parametrize("backend", ENGINES)
def test_flow_of_a_clip_is_the_motion_to_the_next_frame(clip, backend):
    flow = TVL1(backend=backend)(clip)
    assert flow.shape == (4, 2, 48, 64)
    assert flow.dtype == np.float32
    inner = flow[..., 8:-8, 8:-8]
    assert np.abs(inner[:, 0] - 1.3).mean() < 0.1
    assert np.abs(inner[:, 1] + 0.6).mean() < 0.1


@pytest.mark.parametrize("backend", ENGINES)
def test_a_pair_does_not_depend_on_threads_batch_or_neighbours(render, backend):
    frames = np.stack([render(40, 50, (0.9 * t, 0.3 * t)) for t in range(12)])
    alone = TVL1(backend=backend).pairs(frames[6:7], frames[7:8])[0]
    for threads in (1, 3):
        tvl1 = TVL1(backend=backend, threads=threads)
        np.testing.assert_array_equal(tvl1(frames)[6], alone)
        np.testing.assert_array_equal(tvl1.pairs(frames[4:8], frames[5:9])[2], alone)


def test_a_frame_of_another_size_in_between_changes_nothing(clip, render):
    tvl1 = TVL1(backend="native_cpu")
    before = tvl1(clip)
    tvl1(np.stack([render(17, 90), render(17, 90, (1, 0))]))
    np.testing.assert_array_equal(tvl1(clip), before)


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("median_filter", [1, 5])
def test_identical_frames_have_exactly_zero_flow(clip, backend, median_filter):
    tvl1 = TVL1(TVL1Params(median_filter=median_filter), backend)
    assert not tvl1(np.stack([clip[0], clip[0]])).any()


@pytest.mark.parametrize("backend", ENGINES)
def test_flat_frames_of_different_brightness_stay_finite(backend):
    frames = np.zeros((2, 30, 30), np.uint8)
    frames[1] = 255
    assert np.isfinite(TVL1(backend=backend)(frames)).all()


@pytest.mark.parametrize("backend", ENGINES)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 2), (3, 16), (17, 16), (33, 47)])
def test_any_size_from_one_pixel_up_gives_finite_flow(size, backend):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size)).astype(np.uint8)
    flow = TVL1(TVL1Params(median_filter=5), backend)(frames)
    assert flow.shape == (2, 2, *size)
    assert np.isfinite(flow).all()


@pytest.mark.parametrize("backend", ENGINES)
def test_floats_on_the_byte_scale_give_the_flow_of_the_bytes(clip, backend):
    tvl1 = TVL1(backend=backend)
    from_bytes = tvl1(clip[:2])
    for kind in (np.float16, np.float32, np.float64):
        np.testing.assert_allclose(tvl1(clip[:2].astype(kind)), from_bytes, atol=1e-2)


def test_the_order_of_bytes_does_not_matter(clip):
    tvl1 = TVL1(backend="native_cpu")
    np.testing.assert_array_equal(tvl1(clip.astype(">f4")), tvl1(clip))


def test_torch_tensors_give_torch_tensors_of_the_same_flow(clip):
    tvl1 = TVL1(backend="native_cpu")
    flow = tvl1(torch.from_numpy(clip))
    assert flow.dtype == torch.float32
    np.testing.assert_array_equal(flow.numpy(), tvl1(clip))
    pairs = tvl1.pairs(torch.from_numpy(clip[:1]), torch.from_numpy(clip[1:2]))
    np.testing.assert_array_equal(pairs.numpy(), flow[:1].numpy())


def test_bfloat16_tensors_are_taken_too(clip):
    tvl1 = TVL1(backend="native_cpu")
    rounded = torch.from_numpy(clip[:2]).bfloat16()
    np.testing.assert_array_equal(tvl1(rounded).numpy(), tvl1(rounded.float()).numpy())


def test_memory_order_does_not_matter(clip):
    tvl1 = TVL1(backend="native_cpu")
    turned = np.asfortranarray(clip)
    np.testing.assert_array_equal(tvl1(turned[:, :, ::-1]), tvl1(clip[:, :, ::-1].copy()))


@pytest.mark.parametrize("backend", ENGINES)
def test_one_frame_has_no_flow(clip, backend):
    assert TVL1(backend=backend)(clip[:1]).shape == (0, 2, 48, 64)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((4, 8, 8, 3), np.uint8), "3 dimensions"),
        (np.zeros((2, 0, 8), np.uint8), "empty"),
        (np.zeros((0, 8, 8), np.uint8), "empty"),
        (np.zeros((2, 8, 8), np.int16), "int16"),
        (np.zeros((2, 8, 8), bool), "bool"),
        (np.full((2, 8, 8), np.nan), "NaN"),
        (np.full((2, 8, 8), np.inf), "infinite"),
        (
            np.linspace(0, 1, 128).reshape(2, 8, 8),
            r"0\.\.255 scale; multiply frames of 0\.\.1 by 255",
        ),
        (np.linspace(-1, 1, 128).reshape(2, 8, 8), r"0\.\.255 scale"),
        (np.linspace(0, 65535, 128).reshape(2, 8, 8), r"0\.\.255 scale"),
        ([[[1, 2]]], "NumPy array or a torch tensor"),
    ],
)
def test_frames_of_the_wrong_kind_are_refused_with_the_reason(frames, words):
    with pytest.raises(ValueError, match=words):
        TVL1(backend="native_cpu")(frames)


def test_pairs_that_do_not_fit_each_other_are_refused(clip):
    tvl1 = TVL1(backend="native_cpu")
    with pytest.raises(ValueError, match="same shape"):
        tvl1.pairs(clip[:2], clip[1:2])
    with pytest.raises(ValueError, match="same type"):
        tvl1.pairs(clip[:1], clip[1:2].astype(float))


def test_the_fingerprint_tells_engines_versions_and_parameters_apart():
    prints = [
        TVL1(backend="native_cpu").fingerprint,
        TVL1(backend="opencv").fingerprint,
        TVL1(TVL1Params(tau=0.2), "native_cpu").fingerprint,
    ]
    assert prints[0]["algorithm"] == "tvl1"
    assert prints[0]["backend"] == "native"
    assert {**prints[0], "tau": 0.2} == prints[2]
    assert prints[0] != prints[1]
    assert TVL1(backend="native_cpu", threads=2).fingerprint == prints[0]


def test_an_unknown_backend_is_refused_with_the_known_names():
    with pytest.raises(UserError, match="'cuda' is unknown: use one of auto, native"):
        TVL1(backend="cuda")


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_a_senseless_number_of_threads_is_refused(threads):
    with pytest.raises(UserError, match="threads"):
        TVL1(threads=threads)


@pytest.mark.parametrize(
    ("opencv", "ours", "auto", "native"),
    [
        ("no device", "no GPU", "native_cpu", "native_cpu"),
        ("not built", None, "native_cuda", "native_cuda"),
        (None, None, "opencv_cuda", "native_cuda"),
    ],
)
def test_auto_is_opencv_where_that_is_the_variant_else_native_which_takes_a_gpu_if_it_can(
    monkeypatch, opencv, ours, auto, native
):
    monkeypatch.setattr(opencv_cuda, "why_unavailable", lambda: opencv)
    monkeypatch.setattr(cuda, "why_unavailable", lambda: ours)
    assert resolve_backend("auto", "opencv_cuda") == auto
    assert resolve_backend("auto") == resolve_backend("native", "opencv_cuda") == native


def test_cv2_optflow_cannot_compute_the_variant_of_opencv_cuda():
    with pytest.raises(UserError, match="opencv cannot compute the variant opencv_cuda; use"):
        TVL1(TVL1Params(variant="opencv_cuda"), "opencv")


def test_the_fingerprint_tells_the_variants_of_the_native_engine_apart():
    params = TVL1Params(variant="opencv_cuda")
    one, other = (TVL1(p, "native_cpu").fingerprint for p in (TVL1Params(), params))
    assert other == {**one, "variant": "opencv_cuda"}
    assert recreate_estimator(other).params == params


def test_the_gpu_engine_without_a_gpu_is_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(cuda, "why_unavailable", lambda: "there is no NVIDIA GPU here")
    with pytest.raises(UserError, match=r"native_cuda cannot run: there is no NVIDIA GPU"):
        TVL1(backend="native_cuda")


def test_native_flow_of_cpu_and_gpu_counts_as_the_same():
    cpu = TVL1(backend="native_cpu")
    assert cpu.backend == "native_cpu"
    assert cpu.fingerprint["backend"] == "native"


@pytest.mark.parametrize("backend", ENGINES)
def test_quantised_flow_is_the_flow_quantised(clip, backend):
    tvl1 = TVL1(backend=backend)
    data, clipped = tvl1.quantised(clip, 1.0)
    np.testing.assert_array_equal(data, quantise(tvl1(clip), 1.0))
    assert clipped == pytest.approx((np.abs(tvl1(clip)) > 1).mean())
    assert tvl1.quantised(clip[:1])[0].shape == (0, 2, 48, 64)


def test_an_engine_that_quantises_does_so_for_every_step(clip):
    class Quantising:
        def quantised(self, frames, bound, step):
            return np.full((len(frames) - step, 2, 1, 1), step, np.uint8), 0.0

    tvl1 = TVL1(backend="native_cpu")
    tvl1._engine, tvl1.step = Quantising(), 2
    assert tvl1.quantised(clip)[0].tolist() == [[[[2]]] * 2] * (len(clip) - 2)


@pytest.mark.parametrize(
    ("devices", "reason"), [(-1, "driver"), (0, "without CUDA or finds no CUDA device")]
)
def test_opencv_cuda_without_a_device_is_refused_with_the_reason(monkeypatch, devices, reason):
    class Cuda:
        OpticalFlowDual_TVL1_create = None

        @staticmethod
        def getCudaEnabledDeviceCount():
            return devices

    monkeypatch.setattr(opencv_cuda.cv2, "cuda", Cuda)
    with pytest.raises(UserError, match=reason):
        TVL1(backend="opencv_cuda")
    assert resolve_backend("auto", "opencv_cuda").startswith("native")


def test_an_opencv_without_the_cuda_module_is_refused(monkeypatch):
    monkeypatch.setattr(opencv_cuda.cv2, "cuda", None)
    with pytest.raises(UserError, match="built without its CUDA optical flow module"):
        TVL1(backend="opencv_cuda")


@pytest.fixture
def old_driver(monkeypatch):
    """A GPU whose driver is too old; returns why."""
    reason = "the NVIDIA driver supports CUDA 12.4; update the driver"
    tvl1._warn_of_unused_gpu.cache_clear()
    monkeypatch.setattr(opencv_cuda, "why_unavailable", lambda: "not built")
    monkeypatch.setattr(cuda, "why_unavailable", lambda: reason)
    monkeypatch.setattr(cuda, "gpu_is_there", lambda: True)
    yield reason
    tvl1._warn_of_unused_gpu.cache_clear()


def test_a_gpu_that_cannot_be_used_is_told_once_and_the_cpu_computes(old_driver, caplog):
    assert TVL1(backend="auto").backend == TVL1(backend="native").backend == "native_cpu"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert old_driver in caplog.text


def test_an_engine_asked_for_by_name_is_refused_with_the_same_reason(old_driver):
    with pytest.raises(UserError, match=old_driver):
        TVL1(backend="native_cuda")


def test_an_engine_that_does_not_start_is_replaced_by_the_cpus_unless_asked_for(
    old_driver, monkeypatch, caplog
):
    def fail():
        raise RuntimeError("no kernel image is available for execution on the device")

    monkeypatch.setattr(cuda, "why_unavailable", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_device", fail)
    with pytest.raises(UserError, match="no kernel image"):
        TVL1(backend="native_cuda")
    assert TVL1(backend="auto").backend == "native_cpu"
    assert "no kernel image" in caplog.text


def test_black_frames_and_interpolation_that_overshoots_are_taken_as_floats():
    tvl1 = TVL1(TVL1Params(warps=1, iterations=2), "native_cpu")
    assert not tvl1(np.zeros((2, 8, 8), np.float32)).any()
    assert np.isfinite(tvl1(np.linspace(-30, 290, 128).reshape(2, 8, 8))).all()


@pytest.mark.parametrize("bound", [-20, 0, float("nan")])
def test_a_senseless_bound_is_refused_before_any_work(clip, bound):
    with pytest.raises(ValueError, match="bound must be"):
        TVL1(backend="native_cpu").quantised(clip, bound)
