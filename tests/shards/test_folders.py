"""Shards as folders of images and lists, and back again."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tsn.config.checks import checked_dataset
from tsn.config.frame_folders import FrameFolders
from tsn.config.schema import FlowConfig, FramesConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.build_index import write_index
from tsn.datasets.index import read_index
from tsn.datasets.listing import Listing, list_videos
from tsn.export import main
from tsn.flow.build import build_flow_shard
from tsn.runtime.errors import UserError
from tsn.shards.build import build_rgb_shard
from tsn.shards.folders import export_folders
from tsn.shards.format import write_shard
from tsn.shards.jpeg import encode_jpeg
from tsn.shards.store import ShardSet


@pytest.fixture(scope="module")
def results(make_tiny_set, tmp_path_factory) -> Path:
    """The folder of a data set; one of its videos is quarantined."""
    tiny, folder = make_tiny_set(bad=("red/0",)), tmp_path_factory.mktemp("results")
    shutil.copy(tiny.index, folder / "index.tsv")
    for stream, paths in tiny.shards.items():
        (folder / "shards" / stream).mkdir(parents=True)
        for number, path in enumerate(paths):
            shutil.copy(path, folder / "shards" / stream / f"{number:04d}.h5")
    return folder


def store_of(results: Path, stream: str) -> ShardSet:
    return ShardSet(sorted((results / "shards" / stream).glob("*.h5")))


@pytest.mark.parametrize("naming", ["mmaction2", "denseflow"])
def test_what_was_exported_and_imported_again_is_the_same(results, tmp_path, naming):
    """Frames byte for byte; flow within the error of its JPEGs."""
    assert main([str(results), "-o", str(tmp_path / "out"), "--naming", naming]) == 0
    block = {"layout": "list", "videos": str(tmp_path / "out"), "frame_folders": {"naming": naming}}
    lists = {part: str(tmp_path / f"out/rgb_{part}_split1.txt") for part in ("train", "test")}
    videos = list_videos(checked_dataset("own", {**block, "annotations": lists}), tmp_path).videos
    assert len(videos) == 11 and not any(video.missing for video in videos)
    folders = FrameFolders(naming)
    rgb, flow = tmp_path / "rgb.h5", tmp_path / "flow.h5"
    build_rgb_shard(rgb, list(videos), FramesConfig((64, 48), 50), folders=folders)
    engine = FlowConfig("native_cpu", 20.0, TVL1Params())
    build_flow_shard(flow, list(videos), (64, 48), engine, 1, folders=folders)
    before, after = store_of(results, "rgb"), ShardSet([rgb])
    for video in videos:
        assert [*after.jpegs(video.id)] == [*before.jpegs(video.id)]
    before, after = store_of(results, "flow"), ShardSet([flow])
    for video in videos:
        fields = before.read(video.id, range(8)).astype(int)
        assert np.abs(fields - after.read(video.id, range(8))).mean() < 3


def test_shards_that_another_number_of_shards_has_left_are_not_used(results, tmp_path):
    shutil.copytree(results, tmp_path / "set")
    shards = tmp_path / "set" / "shards"
    (shards / "videos").mkdir()
    for path in (shards / "rgb").glob("*.h5"):
        (shards / "videos" / f"{path.stem}.tsv").touch()
    shutil.copy(shards / "rgb" / "0000.h5", shards / "rgb" / "0099.h5")
    assert export_folders([tmp_path / "set"], tmp_path / "out", "mmaction2") == (11, 0)


def test_lists_have_the_images_of_their_stream_and_labels_of_classes(results, tmp_path):
    export_folders([results], tmp_path, "mmaction2")
    assert (tmp_path / "classes.txt").read_text() == "red\nblue\n"
    assert (tmp_path / "rgb_test_split1.txt").read_text().splitlines() == [
        "blue/4 9 1",
        "blue/5 9 1",
        "red/4 9 0",
        "red/5 9 0",
    ]
    assert "red/1 8 0\n" in (tmp_path / "flow_train_split1.txt").read_text()
    assert "red/0 " not in (tmp_path / "flow_train_split1.txt").read_text()
    names = sorted(file.name for file in (tmp_path / "red/1").iterdir())
    assert (names[0], names[-1], len(names)) == ("flow_x_00001.jpg", "img_00009.jpg", 25)


@pytest.mark.parametrize(("others", "labels"), [((("red", 0),), "1 0"), ((), "1")])
def test_labels_are_those_of_all_videos_and_classes(results, tmp_path, caplog, others, labels):
    """The one red video is quarantined."""
    folder = shutil.copytree(results, tmp_path / "results")
    videos = {video.id: video for video in read_index(folder / "index.tsv")}
    red, blue = videos["red/0"], videos["blue/4"]
    listing = Listing(("red", "blue"), (red, replace(blue, others=others)))
    write_index(folder / "index.tsv", listing, 2, (1,))
    export_folders([folder], tmp_path / "out", "mmaction2")
    assert (tmp_path / "out/classes.txt").read_text() == "red\nblue\n"
    assert f"blue/4 9 {labels}\n" in (tmp_path / "out/rgb_test_split1.txt").read_text()
    assert "1 quarantined video(s) left out" in caplog.text


def test_a_folder_that_is_there_is_kept(results, tmp_path):
    assert export_folders([results], tmp_path, "mmaction2") == (11, 0)
    shutil.rmtree(tmp_path / "red/1")
    assert export_folders([results], tmp_path, "mmaction2") == (1, 10)


def write_rgb(path: Path, names: list[str]) -> Path:
    jpeg = encode_jpeg(np.zeros((16, 16, 3), np.uint8), 90)
    with write_shard(path, "rgb", (16, 16), {}, {}) as writer:
        for name in names:
            writer.add(name, name[0], [jpeg, jpeg])
    return path


def test_shards_alone_have_one_list_with_classes_by_name(tmp_path):
    shard = write_rgb(tmp_path / "a.h5", ["b/x y", "a/z"])
    export_folders([shard], tmp_path / "out", "tsn_pytorch")
    lines = (tmp_path / "out/rgb.txt").read_text().splitlines()
    assert lines == [f"{tmp_path}/out/x_y 2 1", f"{tmp_path}/out/z 2 0"]


def test_videos_that_would_share_a_folder_are_named(tmp_path):
    shard = write_rgb(tmp_path / "a.h5", ["a/x", "b/x"])
    with pytest.raises(UserError, match="'a/x' and 'b/x' would both be the folder 'x'"):
        export_folders([shard], tmp_path / "out", "dense_flow")


def test_a_folder_without_shards_is_one_sentence(tmp_path, capsys):
    assert main([str(tmp_path), "-o", str(tmp_path / "out"), "--naming", "mmaction2"]) == 1
    assert "there are no shards; name .h5 files" in capsys.readouterr().err
