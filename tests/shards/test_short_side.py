"""Frames that keep their aspect: one shard holds several sizes."""

import h5py
import numpy as np
import pytest

from tsn.config.schema import FlowConfig, FramesConfig, TestConfig, TrainingConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.data.dataset import CentreSnippets, TestSnippets, TrainingSnippets
from tsn.datasets.records import Video
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard
from tsn.predict.streams import Clip, ClipStream, Streams
from tsn.runtime.errors import UserError
from tsn.shards.build import build_rgb_shard
from tsn.shards.format import Shard
from tsn.shards.hdf5 import SEALED
from tsn.shards.store import ShardSet
from tsn.video import decode, target_size

FLOW = FlowConfig("native_cpu", 10.0, TVL1Params(pyramid_levels=2, warps=1))
SIDE = 32
SIZES = {"wide": (43, 32), "tall": (32, 43), "square": (32, 32)}


@pytest.mark.parametrize(
    ("own", "wanted", "expected"),
    [
        # mmcv.imrescale((w, h), scale=(inf, 256)): int(side * 256 / min + 0.5)
        ((320, 240), 256, (341, 256)),
        ((1280, 720), 256, (455, 256)),
        ((720, 1280), 256, (256, 455)),
        ((256, 256), 256, (256, 256)),
        ((320, 240), (340, 256), (340, 256)),
        ((320, 240), None, (320, 240)),
    ],
)
def test_the_longer_side_is_rounded_as_mmcv_does(own, wanted, expected):
    assert target_size(own, wanted) == expected


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> dict:
    """Videos of three aspects and a bad one, in each stream; and the videos themselves."""
    import av

    folder = tmp_path_factory.mktemp("sizes")
    rng = np.random.default_rng(3)
    videos = []
    for label, (name, (width, height)) in enumerate(
        {"wide": (64, 48), "tall": (48, 64), "bad": (0, 0), "square": (48, 48)}.items()
    ):
        path = folder / f"{name}.mkv"
        videos.append(Video(name, str(path), name, label % 2))
        if not width:
            path.write_text("no video")
            continue
        with av.open(str(path), "w") as out:
            stream = out.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
            for _ in range(7):
                image = rng.integers(0, 255, (height, width, 3), np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            out.mux(stream.encode())
    paths = {stream: folder / f"{stream}.h5" for stream in ("rgb", "flow", "warped_flow")}
    build_rgb_shard(paths["rgb"], videos, FramesConfig(None, 95, SIDE))
    build_flow_shard(paths["flow"], videos, SIDE, FLOW, 2)
    build_warped_shard(paths["warped_flow"], paths["flow"], videos, FLOW, 2)
    return {**paths, "videos": videos}


def test_frames_and_flow_have_the_size_of_their_video(shards):
    for stream, frames in (("rgb", 7), ("flow", 6), ("warped_flow", 6)):
        with Shard(shards[stream]) as shard:
            assert shard.fingerprint["short_side"] == shard.size == SIDE
            for name, (width, height) in SIZES.items():
                read = shard.read(shard.videos[name], range(frames))
                shape = (height, width, 3) if stream == "rgb" else (2, height, width)
                assert read.shape == (frames, *shape)
            assert shard.videos["bad"].status == "unreadable"


def test_flow_is_that_of_a_shard_of_the_one_size(shards, tmp_path):
    tall = [video for video in shards["videos"] if video.id == "tall"]
    build_flow_shard(tmp_path / "flow.h5", tall, SIZES["tall"], FLOW, 1)
    with Shard(tmp_path / "flow.h5") as one, Shard(shards["flow"]) as several:
        expected = one.read(one.videos["tall"], range(6))
        np.testing.assert_array_equal(several.read(several.videos["tall"], range(6)), expected)
        # Random access, too, goes to the fields of the video's own size.
        np.testing.assert_array_equal(
            several.read(several.videos["tall"], [4, 0, 4]), expected[[4, 0, 4]]
        )


def test_crops_of_training_validation_and_test_follow_the_size_of_the_video(shards):
    store = ShardSet([shards["rgb"]])
    assert [store.size_at(store.number(name)) for name in SIZES] == [*SIZES.values()]
    recipe = TrainingConfig(2, 2, 2, (2,), 0.1, 0.9, 0, None, 0, True, (1.0, 0.75), False, "fp32",
                            False, 0, "last", 3)  # fmt: skip
    training = TrainingSnippets(store, shards["videos"], "rgb", recipe, 24, 1)
    validation = CentreSnippets(store, shards["videos"], "rgb", 2, 24)
    test = TestSnippets(store, shards["videos"], "rgb", TestConfig(2, 10, 28, "caffe"), 28)
    for number, video in enumerate(test.videos):
        assert training[0, number][0].shape == (2, 3, 24, 24)
        assert validation[number][0].shape == (2, 3, 24, 24)
        crops = test.cut(test[number]).reshape(10, 2, 3, 28, 28)
        whole = list(decode.read_frames(video.path, SIDE))
        width, height = SIZES[video.id]
        assert whole[0].shape == (height, width, 3)
        corner = whole[0][-28:, -28:].transpose(2, 0, 1)  # before JPEG
        assert np.abs(crops[3, 0].numpy().astype(int) - corner).mean() < 30


def test_a_shard_that_claims_another_size_of_a_video_is_damaged(shards, tmp_path):
    copy = tmp_path / "copy.h5"
    with Shard(shards["flow"]) as shard, h5py.File(copy, "w", **SEALED) as file:
        source = shard._file
        for name in source:
            source.copy(name, file)
        for name, value in source.attrs.items():
            file.attrs[name] = value
        table = file["videos"][()]
        table["width"][0] = 40
        file["videos"][...] = table
    with pytest.raises(UserError, match="damaged on disk"):
        Shard(copy)


def test_prediction_makes_frames_as_the_shards_hold_them(shards):
    with Shard(shards["rgb"]) as shard:
        streams = Streams({"rgb": shard.fingerprint}, 1)
        clip = Clip(streams, 7)
        path = next(video.path for video in shards["videos"] if video.id == "tall")
        clip.frames = dict(enumerate(decode.read_frames(path, streams.size)))
        assert ClipStream(clip, "rgb").size_at(0) == SIZES["tall"]
        stored = shard.read(shard.videos["tall"], range(7))
        np.testing.assert_array_equal(clip.read("rgb", range(7)), stored)
