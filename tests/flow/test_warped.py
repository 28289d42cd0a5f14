import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from tsn.flow.features import detect_features
from tsn.flow.quantise import dequantise, quantise
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow


@pytest.fixture
def pan(render):
    """Four frames of a pan by (-2.3, 0.8) px, with a patch that moves by (3, 0) px in the scene.

    Returns the frames, the background's and the patch's masks (H, W), clear of edges.
    """
    height, width = 120, 160
    frames = []
    for t in range(4):
        frame = render(height, width, (-2.3 * t, 0.8 * t))
        patch = render(height, width, (0.7 * t, 0.8 * t), seed=5)
        rows = slice(round(40 + 0.8 * t), round(80 + 0.8 * t))
        columns = slice(round(60 + 0.7 * t), round(100 + 0.7 * t))
        frame[rows, columns] = patch[rows, columns]
        frames.append(frame)
    background, patch = np.zeros((2, height, width), bool)
    background[14:-14, 14:-14] = True
    background[30:90, 50:110] = False
    patch[50:72, 70:92] = True
    return np.stack(frames), background, patch


def test_a_pan_is_undone_and_the_foreground_keeps_its_motion(pan):
    frames, background, patch = pan
    tvl1 = TVL1(backend="native_cpu")
    flow = tvl1(frames)
    assert np.median(np.hypot(flow[:, 0], flow[:, 1])[:, background]) > 2

    warped = WarpedFlow(tvl1)(frames, flow)
    assert warped.shape == flow.shape
    assert warped.dtype == np.float32
    assert np.median(np.hypot(warped[:, 0], warped[:, 1])[:, background]) < 0.1
    assert np.abs(np.median(warped[:, 0][:, patch]) - 3.0) < 0.2
    assert np.abs(np.median(warped[:, 1][:, patch])) < 0.2


def test_the_homographies_of_a_pan_are_translations(pan):
    frames = pan[0]
    tvl1 = TVL1(backend="native_cpu")
    _, motions = WarpedFlow(tvl1).with_camera_motion(frames, tvl1(frames))
    for motion in motions:
        assert motion.accepted
        np.testing.assert_allclose(motion.homography[:2, 2], [-2.3, 0.8], atol=0.4)
        np.testing.assert_allclose(motion.homography[:2, :2], np.eye(2), atol=0.01)


def test_quantised_flow_is_precise_enough(pan):
    frames, background, _ = pan
    tvl1 = TVL1(backend="native_cpu")
    warped = WarpedFlow(tvl1)(frames, dequantise(quantise(tvl1(frames))))
    assert np.median(np.hypot(warped[:, 0], warped[:, 1])[:, background]) < 0.1


def test_a_still_camera_leaves_the_flow_as_it_is(render):
    frames = np.stack([render(120, 160)] * 3)
    for t in range(3):
        frames[t, 40:70, 50 + 2 * t : 90 + 2 * t] = render(120, 160, seed=3)[40:70, 50:90]
    tvl1 = TVL1(backend="native_cpu")
    flow = dequantise(quantise(tvl1(frames)))
    np.testing.assert_array_equal(WarpedFlow(tvl1)(frames, flow), flow)


def test_without_an_accepted_homography_the_flow_is_given_back():
    frames = np.full((3, 20, 30), 90, np.uint8)
    flow = np.random.default_rng(0).normal(size=(2, 2, 20, 30)).astype(np.float32)
    warped, motions = WarpedFlow(TVL1(backend="native_cpu")).with_camera_motion(frames, flow)
    assert not any(motion.accepted for motion in motions)
    np.testing.assert_array_equal(warped, flow)
    assert not np.shares_memory(warped, flow)


def test_threads_and_neighbours_do_not_change_warped_flow(pan):
    frames = pan[0]
    flow = TVL1(backend="native_cpu")(frames)
    one, two = (WarpedFlow(TVL1(backend="native_cpu", threads=n)) for n in (1, 2))
    whole = one(frames, flow)
    np.testing.assert_array_equal(two(frames, flow), whole)
    np.testing.assert_array_equal(one(frames[1:3], flow[1:2]), whole[1:2])


def test_a_forked_process_computes_with_threads_of_its_own(pan):
    frames, estimator = pan[0][:3], TVL1(backend="native_cpu", threads=2)
    warped_flow = WarpedFlow(estimator, threads=2)
    expected = warped_flow(frames, estimator(frames))
    child = os.fork()
    if not child:
        signal.alarm(60)  # it would wait for its parent's threads for ever
        os._exit(not np.array_equal(warped_flow(frames, estimator(frames)), expected))
    assert os.waitpid(child, 0)[1] == 0


def test_pairs_that_are_apart_have_the_warped_flow_of_the_whole_clip(pan):
    frames = pan[0]
    tvl1 = TVL1(backend="native_cpu")
    flow, warped_flow = tvl1(frames), WarpedFlow(tvl1)
    pairs = np.array([0, 2]), np.array([1, 3])
    apart = warped_flow(frames, flow[[0, 2]], pairs=pairs)
    np.testing.assert_array_equal(apart, warped_flow(frames, flow)[[0, 2]])


def test_each_frame_is_searched_for_features_once(pan, monkeypatch):
    frames = pan[0]
    searched = []

    def counted(frame, **more):
        searched.append(frame)
        return detect_features(frame, **more)

    warped_flow = WarpedFlow(TVL1(backend="native_cpu"))
    monkeypatch.setattr("tsn.flow.warped.detect_features", counted)
    warped_flow(frames, np.zeros((3, 2, 120, 160), np.float32))
    assert len(searched) == len(frames)


def test_torch_tensors_are_taken_too(pan):
    tvl1 = TVL1(backend="native_cpu")
    frames, warped_flow = torch.from_numpy(pan[0][:2]), WarpedFlow(tvl1)
    flow = tvl1(frames)
    np.testing.assert_array_equal(warped_flow(frames, flow), warped_flow(pan[0][:2], flow.numpy()))


def test_one_frame_has_no_warped_flow(pan):
    empty = np.empty((0, 2, 120, 160), np.float32)
    assert WarpedFlow(TVL1(backend="native_cpu"))(pan[0][:1], empty).shape == empty.shape


@pytest.mark.parametrize(
    ("frames", "flow", "words"),
    [
        ([[[0]]], np.zeros((2, 2, 8, 8)), "frames must be a NumPy array or a torch tensor"),
        (np.zeros((3, 8, 8)), np.zeros((2, 2, 8, 8)), "frames must be uint8"),
        (np.zeros((3, 8, 8), np.uint8), np.zeros((3, 2, 8, 8)), r"shape \(2, 2, 8, 8\)"),
        (np.zeros((3, 8, 8), np.uint8), np.zeros((2, 2, 8, 8), np.uint8), "not uint8"),
    ],
)
def test_input_that_does_not_fit_is_refused(frames, flow, words):
    with pytest.raises(ValueError, match=words):
        WarpedFlow(TVL1(backend="native_cpu"))(frames, flow)


def test_an_overlay_of_another_size_is_refused(pan):
    flow, overlay = np.zeros((3, 2, 120, 160), np.float32), np.zeros((60, 80), bool)
    with pytest.raises(ValueError, match=r"overlay must be \(120, 160\), not \(60, 80\)"):
        WarpedFlow(TVL1(backend="native_cpu"))(pan[0], flow, overlay)


@pytest.mark.parametrize("page", ["flow.md", "warped-flow.md"])
def test_the_first_example_of_the_documentation_runs(pan, page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text(encoding="utf-8")
    example = text.partition("```python\n")[2].partition("```")[0]
    frames = pan[0][:3]
    exec(example, {"frames": frames, "first": frames[:-1], "second": frames[1:]})


def test_the_fingerprint_holds_the_first_algorithms_too():
    tvl1 = TVL1(backend="native_cpu")
    found = WarpedFlow(tvl1).fingerprint
    assert found["tvl1"] == tvl1.fingerprint
    assert found["algorithm"] == "warped tvl1"
    assert (found["detector"], found["inlier_distance"]) == ("corners", 1.0)
