"""The same videos, however a data set names them, have the same index and the same shards."""

import shutil

import h5py
import numpy as np
import pytest

from tsn.config.checks import checked_dataset
from tsn.config.schema import FlowConfig, FramesConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.build_index import plan_listing, write_index
from tsn.datasets.index import read_index
from tsn.flow.build import build_flow_shard
from tsn.shards.build import build_rgb_shard
from tsn.shards.folders import export_folders

PARTS = {
    "Clap/v_Clap_g01_c01": "test",
    "Clap/v_Clap_g08_c01": "train",
    "Run/v_Run_g08_c01": "train",
}
FILES = {
    "lists/classInd.txt": "1 Clap\n2 Run\n",
    "lists/trainlist01.txt": "Clap/v_Clap_g08_c01.avi 1\nRun/v_Run_g08_c01.avi 2\n",
    "lists/testlist01.txt": "Clap/v_Clap_g01_c01.avi\n",
    "table.csv": "path,label,split\n"
    + "".join(f"{name}.avi,{name.partition('/')[0]},{part}\n" for name, part in PARTS.items()),
    "train.txt": "Clap/v_Clap_g08_c01.avi 0\nRun/v_Run_g08_c01.avi 1\n",
    "test.txt": "Clap/v_Clap_g01_c01.avi 0\n",
    "kinetics.csv": "label,youtube_id,time_start,time_end,split\n"
    + "".join(
        f"{name.partition('/')[0]},{name.partition('/')[2]},3,13,{part}\n"
        for name, part in PARTS.items()
    ),
}
FRAMES, FLOW = FramesConfig((64, 48), 95), FlowConfig("auto", 20.0, TVL1Params(), "dis")


@pytest.fixture
def videos(write_video, images, tmp_path):
    """Three videos as UCF101's and as Kinetics' files, and lists of them."""
    for at, name in enumerate(PARTS):
        for path in (f"ucf/{name}.avi", f"kinetics/{name}_000003_000013.avi"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            write_video(path, images[at : at + 6])
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def index_and_shards(folder, **keys):
    """What the index says of the videos, and the arrays of both shards, without names."""
    dataset = checked_dataset("own", {"shards": 1, **keys})
    listing = plan_listing(dataset, folder, "quarantine", "refuse")
    write_index(folder / "index.tsv", listing, 1, (1,))
    index = [(v.class_name, v.label, v.splits) for v in read_index(folder / "index.tsv")]
    folders = dataset.frame_folders
    (folder / "shards/rgb").mkdir(parents=True, exist_ok=True)
    (folder / "shards/flow").mkdir(parents=True, exist_ok=True)
    rgb, flow = folder / "shards/rgb/0000.h5", folder / "shards/flow/0000.h5"
    build_rgb_shard(rgb, list(listing.videos), FRAMES, folders=folders)
    build_flow_shard(flow, list(listing.videos), FRAMES.target, FLOW, 1, folders=folders)
    return index, arrays(rgb), arrays(flow)


def arrays(path) -> list[bytes]:
    with h5py.File(path) as file:
        stored = [file[name][()] for name in ("jpeg", "offsets", "flow") if name in file]
        table = [file["videos"][name] for name in file["videos"].dtype.names if name != "id"]
        return [np.asarray(values).tobytes() for values in (*stored, *table)]


def test_official_lists_tables_plain_lists_and_published_files(videos):
    plain = {"train": str(videos / "train.txt"), "test": str(videos / "test.txt")}
    in_ucf = {"videos": str(videos / "ucf"), "layout": "list"}
    ways = [
        {**in_ucf, "annotations": str(videos / "table.csv")},
        {**in_ucf, "annotations": plain, "class_list": str(videos / "lists/classInd.txt")},
        {
            "layout": "list",
            "videos": str(videos / "kinetics"),
            "annotations": str(videos / "kinetics.csv"),
        },
    ]
    lists = {"lists": str(videos / "lists"), "check_counts": False}
    official = index_and_shards(videos, layout="ucf101", videos=str(videos / "ucf"), **lists)
    assert official[0] == [
        ("Clap", 0, {1: "test"}),
        ("Clap", 0, {1: "train"}),
        ("Run", 1, {1: "train"}),
    ]
    assert [index_and_shards(videos, **way) == official for way in ways] == [True, True, True]


def test_folders_that_were_exported(videos):
    """Frames byte for byte; flow is exported as JPEGs (tests/shards/test_folders.py)."""
    lists = {"lists": str(videos / "lists"), "check_counts": False}
    official = index_and_shards(videos, layout="ucf101", videos=str(videos / "ucf"), **lists)
    export_folders([videos], videos / "out", "mmaction2")
    shutil.rmtree(videos / "shards")
    imported = index_and_shards(
        videos,
        layout="list",
        videos=str(videos / "out"),
        annotations={
            part: str(videos / f"out/rgb_{part}_split1.txt") for part in ("train", "test")
        },
        class_list=str(videos / "out/classes.txt"),
        frame_folders={"naming": "mmaction2"},
    )
    assert imported[:2] == official[:2]
