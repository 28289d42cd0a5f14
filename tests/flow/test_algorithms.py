"""Other algorithms than TV-L1 behind its interface."""

import numpy as np
import pytest
import torch
from torchvision.models import optical_flow

from tsn.flow.algorithms import (
    ALGORITHMS,
    create_estimator,
    flow_fingerprint,
    recreate_estimator,
)
from tsn.flow.quantise import quantise
from tsn.flow.warped import WarpedFlow
from tsn.runtime.errors import UserError
from tsn.shards.format import write_shard
from tsn.shards.store import ShardSet

OPENCV = ("dis", "farneback")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file with random weights of the small RAFT."""
    path = tmp_path_factory.mktemp("raft") / "raft.pt"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(optical_flow.raft_small().state_dict(), path)
    return str(path)


def create(algorithm, weights, threads=1):
    return create_estimator(algorithm, threads=threads, weights=weights)


@pytest.fixture
def clip(render):
    """Four frames of a texture that moves by (1.3, -0.6) px a frame."""
    return np.stack([render(64, 80, (1.3 * t, -0.6 * t)) for t in range(4)])


@pytest.mark.parametrize("algorithm", OPENCV)
def test_flow_is_the_motion_to_the_next_frame(clip, algorithm):
    flow = create_estimator(algorithm)(clip)
    assert flow.shape == (3, 2, 64, 80)
    assert flow.dtype == np.float32
    inner = flow[..., 12:-12, 12:-12]
    assert np.abs(inner[:, 0] - 1.3).mean() < 0.1
    assert np.abs(inner[:, 1] + 0.6).mean() < 0.1


@pytest.fixture
def nvidia_flow(monkeypatch):
    """A stand-in for NVIDIA's hardware: the flow is (next - prev, 0), in 1/32 px."""

    class Method:
        def __init__(self, size):
            self.size = size

        def calc(self, first, second, _):
            assert first.shape[::-1] == self.size and first.dtype == np.uint8
            moved = 32 * (second.astype(np.int16) - first)
            return np.stack([moved, 0 * moved], axis=-1), None

        def convertToFloat(self, vectors, _):
            return vectors.astype(np.float32) / 32

    create = staticmethod(lambda size, **_: Method(size))
    fake = type("NvidiaOpticalFlow", (), {"create": create})
    monkeypatch.setattr("cv2.cuda_NvidiaOpticalFlow_2_0", fake, raising=False)


def test_nvidias_hardware_gets_each_pair_once(nvidia_flow):
    frames = np.arange(4 * 20 * 30).reshape(4, 20, 30).astype(np.uint8)
    estimator = create_estimator("nvof", threads=2)
    flow = estimator(frames)
    np.testing.assert_array_equal(flow[:, 0], np.diff(frames.astype(np.float32), axis=0))
    assert not flow[:, 1].any()
    assert recreate_estimator(estimator.fingerprint).fingerprint == estimator.fingerprint


def test_an_opencv_without_nvidias_hardware_flow_is_told(monkeypatch):
    monkeypatch.delattr("cv2.cuda_NvidiaOpticalFlow_2_0", raising=False)
    with pytest.raises(UserError, match="nvof cannot run: the installed OpenCV was built without"):
        create_estimator("nvof")


def test_the_two_frames_of_a_pair_may_lie_further_apart(clip):
    plain, estimator = create_estimator("dis"), create_estimator("dis", step=2)
    flow = estimator(clip)
    np.testing.assert_array_equal(flow, plain.pairs(clip[:-2], clip[2:]))
    np.testing.assert_array_equal(estimator.quantised(clip)[0], quantise(flow))
    assert estimator.fingerprint == {**plain.fingerprint, "step": 2}
    assert recreate_estimator(estimator.fingerprint).step == 2
    warped = WarpedFlow(estimator)
    assert warped(clip, flow).shape == flow.shape
    assert warped.fingerprint["step"] == 2


def test_a_clip_that_is_shorter_than_the_step_has_one_pair(clip):
    flow = create_estimator("dis", step=5)(clip[:3])
    np.testing.assert_array_equal(flow, create_estimator("dis").pairs(clip[:1], clip[2:3]))


def test_raft_is_torchvisions_on_grey_frames_of_minus_one_to_one(render, weights):
    first, second = render(128, 136), render(128, 136, (2.0, 1.0))
    network = optical_flow.raft_small().eval()
    network.load_state_dict(torch.load(weights, weights_only=True))
    inputs = [torch.from_numpy(f / 127.5 - 1).float().expand(1, 3, -1, -1) for f in (first, second)]
    with torch.inference_mode():
        expected = network(*inputs)[-1].numpy()
    flow = create("raft_small", weights).pairs(first[None], second[None])
    np.testing.assert_allclose(flow, expected, atol=1e-4)


@pytest.mark.parametrize("algorithm", [*OPENCV, "raft_small"])
@pytest.mark.parametrize("size", [(1, 1), (5, 340), (33, 47)])
def test_any_size_from_one_pixel_up_gives_finite_flow(size, algorithm, weights):
    frames = np.random.default_rng(0).integers(0, 256, (2, *size)).astype(np.uint8)
    flow = create(algorithm, weights)(frames)
    assert flow.shape == (1, 2, *size)
    assert np.isfinite(flow).all()


@pytest.mark.parametrize("algorithm", OPENCV)
def test_a_pair_does_not_depend_on_threads_or_neighbours(clip, algorithm):
    alone = create_estimator(algorithm).pairs(clip[1:2], clip[2:3])[0]
    for threads in (1, 3):
        np.testing.assert_array_equal(create_estimator(algorithm, threads=threads)(clip)[1], alone)


@pytest.mark.parametrize("algorithm", OPENCV)
def test_bytes_and_warped_flow_are_computed_of_it_too(clip, algorithm):
    estimator = create_estimator(algorithm)
    flow = estimator(clip)
    np.testing.assert_array_equal(estimator.quantised(clip, 5.0)[0], quantise(flow, 5.0))
    assert WarpedFlow(estimator)(clip, flow).shape == flow.shape


def test_fingerprints_tell_algorithms_and_weights_apart(weights, tmp_path):
    other = tmp_path / "other.pt"
    torch.save({k: v + 1 for k, v in torch.load(weights, weights_only=True).items()}, other)
    estimators = [create_estimator(name) for name in ("tvl1", *OPENCV)]
    estimators += [create("raft_small", weights), create("raft_small", str(other))]
    prints = [estimator.fingerprint for estimator in estimators]
    assert all(a != b for n, a in enumerate(prints) for b in prints[:n])
    for estimator in estimators:
        warped = WarpedFlow(estimator).fingerprint
        assert warped["algorithm"] == f"warped {estimator.fingerprint['algorithm']}"
        assert flow_fingerprint(warped) == estimator.fingerprint
    for estimator in estimators[:3]:
        again = recreate_estimator(estimator.fingerprint)
        assert again.fingerprint == estimator.fingerprint


def test_shards_of_two_algorithms_are_not_mixed(tmp_path):
    for name in OPENCV:
        made_by = create_estimator(name).fingerprint
        with write_shard(tmp_path / f"{name}.h5", "flow", (8, 6), made_by, {}) as writer:
            writer.quarantine(name, "c", "missing", "does not exist")
    with pytest.raises(UserError, match=r"algorithm = 'farneback'.*'dis'"):
        ShardSet([tmp_path / f"{name}.h5" for name in OPENCV])


def test_what_cannot_run_is_refused_with_the_reason(weights, tmp_path):
    with pytest.raises(UserError, match="'pwc' is unknown: use one of tvl1, dis"):
        create_estimator("pwc")
    with pytest.raises(UserError, match="no weights of torchvision's raft;"):
        create("raft", weights)
    with pytest.raises(UserError, match="SHA-256"):
        create_estimator("raft_small", weights=weights, sha256="0" * 64)
    with pytest.raises(UserError, match=r"nowhere\.pt"):
        create("raft_small", str(tmp_path / "nowhere.pt"))


def test_an_estimator_with_weights_of_ones_own_is_recreated_from_their_file(weights, tmp_path):
    wrapped = {f"module.{name}": v for name, v in torch.load(weights, weights_only=True).items()}
    torch.save({"model": wrapped}, tmp_path / "own.pt")
    own = create("raft_small", str(tmp_path / "own.pt")).fingerprint
    with pytest.raises(UserError, match="name their file with --flow-weights"):
        recreate_estimator(own)
    assert recreate_estimator(own, weights=weights).fingerprint == own


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", ["threads", "step"])
def test_a_senseless_number_is_refused(algorithm, name):
    with pytest.raises(UserError, match=f"whole number of .*{name}"):
        create_estimator(algorithm, **{name: 0})
