"""`python -m tsn.flow`, from its arguments to its files."""

import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from zipfile import ZipFile

import av
import cv2
import numpy as np
import pytest

from tsn.config.schema import FlowConfig
from tsn.config.tvl1_params import TVL1Params
from tsn.datasets.demo import plan, render
from tsn.datasets.records import Video
from tsn.flow.__main__ import main
from tsn.flow.build import build_flow_shard
from tsn.flow.build_warped import build_warped_shard, warped_flow_fields
from tsn.flow.draw import colour_code
from tsn.flow.export import chunks as export_chunks
from tsn.flow.export.figures import limit_magnitude
from tsn.flow.tvl1 import TVL1
from tsn.flow.warped import WarpedFlow
from tsn.shards.folders import export_folders
from tsn.shards.format import Shard
from tsn.video import isolation
from tsn.video.decode import MAX_FRAMES, VideoError, read_frames

FAST = TVL1Params(pyramid_levels=2, warps=1, iterations=10)
QUICKLY = ["--pyramid-levels", "2", "--warps", "1", "--iterations", "10"]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder `in` with two videos of 12 frames, 64x48 pixels, the camera moving."""
    for clip, name in zip(plan(1, 1, 1), ("one", "up here/it's $two; (100%)"), strict=False):
        render(clip, tmp_path / "in" / f"{name}.mp4", (64, 48), 12)
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """A function that runs the command in `folder` and returns its status and what it said."""
    monkeypatch.chdir(folder)

    def call(*arguments: str) -> tuple[int, str]:
        status = main([*arguments, *QUICKLY])
        return status, capsys.readouterr().err

    return call


def files(folder: Path) -> list[str]:
    inside = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(inside)


def grey_frames(video: Path, size=None) -> np.ndarray:
    return np.stack(list(read_frames(video, size, "grey")))


def test_npy_holds_flow_and_warped_flow_at_the_videos_own_size(run, folder):
    assert run("in", "-o", "out", "-f", "npy", "-w")[0] == 0
    names = ("one", "up here/it's $two; (100%)")
    assert files(folder / "out") == sorted(
        f"{n}{e}" for n in names for e in (".npy", ".warped.npy")
    )
    for name in names:
        frames = grey_frames(folder / "in" / f"{name}.mp4")
        flow = np.load(folder / "out" / f"{name}.npy", mmap_mode="r")
        assert (flow.dtype, flow.shape) == (np.float32, (11, 2, 48, 64))
        np.testing.assert_array_equal(flow, TVL1(FAST)(frames))
        warped = WarpedFlow(TVL1(FAST))(frames, np.array(flow))
        np.testing.assert_array_equal(np.load(folder / "out" / f"{name}.warped.npy"), warped)


def test_blocks_of_a_video_join_without_a_seam(run, folder, monkeypatch):
    monkeypatch.setattr(export_chunks, "CHUNK", 4)
    for out in ("a.npy", "b.mp4"):
        assert run("in/one.mp4", "-o", out, "-j", "1")[0] == 0
    flow = np.load(folder / "a.npy")
    np.testing.assert_array_equal(flow, TVL1(FAST)(grey_frames(folder / "in" / "one.mp4")))
    assert len(list(read_frames(folder / "b.mp4"))) == 11


@pytest.mark.parametrize("out", ["a.npy", "a.h5", "a.png"])
def test_a_video_may_be_longer_than_those_of_a_data_set(run, monkeypatch, out):
    for function in (isolation.read_frames, warped_flow_fields):
        usual = tuple(5 if x == MAX_FRAMES else x for x in function.__defaults__)
        monkeypatch.setattr(function, "__defaults__", usual)
    assert run("in/one.mp4", "-o", out, "-w")[0] == 0


def test_flo_files_are_middleburys(run, folder):
    assert run("in/one.mp4", "-o", "out", "-f", "flo", "-s", "40x30")[0] == 0
    assert files(folder / "out" / "one") == [f"{t:06}.flo" for t in range(11)]
    flow = TVL1(FAST)(grey_frames(folder / "in" / "one.mp4", (40, 30)))
    data = (folder / "out" / "one" / "000010.flo").read_bytes()
    # The format's README: the tag 202021.25 reads "PIEH"; width, height; x and y interleaved.
    assert data[:4] == b"PIEH"
    assert np.frombuffer(data, "<i4", 2, 4).tolist() == [40, 30]
    values = np.frombuffer(data, "<f4", offset=12).reshape(30, 40, 2)
    np.testing.assert_array_equal(values, flow[10].transpose(1, 2, 0))


def test_kitti_files_are_kittis(run, folder):
    assert run("in/one.mp4", "-o", "out", "-f", "kitti")[0] == 0
    assert files(folder / "out" / "one") == [f"{t:06}.png" for t in range(11)]
    flow = TVL1(FAST)(grey_frames(folder / "in" / "one.mp4"))
    image = cv2.imread(str(folder / "out" / "one" / "000010.png"), cv2.IMREAD_UNCHANGED)
    # The development kit: 16 bits; red and green are x and y times 64 plus 2^15, blue is 1.
    blue, green, red = image.transpose(2, 0, 1).astype(float)
    assert image.dtype == np.uint16 and (blue == 1).all()
    np.testing.assert_allclose((np.stack([red, green]) - 2**15) / 64, flow[10], atol=1 / 128)


def test_images_are_those_that_shards_are_exported_as(run, folder):
    size = ("-s", "64x48", "--bound", "10")
    naming = ("--naming", "denseflow")
    assert run("in/one.mp4", "-o", "one.h5", *size)[0] == 0
    export_folders([folder / "one.h5"], folder / "expected", "denseflow")
    assert run("in/one.mp4", "-o", "out", "-f", "jpg", *size, *naming)[0] == 0
    assert run("in/one.mp4", "-o", "one.zip", *size, *naming)[0] == 0
    names = files(folder / "expected" / "one")
    assert names == [f"flow_{axis}_{t:05}.jpg" for axis in "xy" for t in range(11)]
    assert files(folder / "out" / "one") == names
    with ZipFile(folder / "one.zip") as archive:
        assert sorted(archive.namelist()) == names
        for name in names:
            expected = (folder / "expected" / "one" / name).read_bytes()
            assert (folder / "out" / "one" / name).read_bytes() == archive.read(name) == expected


def test_shards_are_those_of_the_pipeline(run, folder):
    assert run("in", "-o", "out.h5", "-w", "-s", "64x48", "--bound", "10")[0] == 0
    videos = [
        Video(name, str(folder / "in" / f"{name}.mp4"), class_name)
        for name, class_name in (("one", ""), ("up here/it's $two; (100%)", "up here"))
    ]
    flow = FlowConfig("auto", 10.0, FAST)
    build_flow_shard(folder / "f.h5", videos, (64, 48), flow, 1)
    build_warped_shard(folder / "w.h5", folder / "f.h5", videos, flow, 1)
    for made, name in (("out.h5", "f.h5"), ("out.warped.h5", "w.h5")):
        with Shard(folder / made) as ours, Shard(folder / name) as theirs:
            assert ours.fingerprint == theirs.fingerprint
            assert (ours.stream, ours.size) == (theirs.stream, theirs.size)
            assert ours.videos == theirs.videos
            for video in theirs.videos.values():
                np.testing.assert_array_equal(
                    ours.read(video, range(11)), theirs.read(video, range(11))
                )


def test_shards_are_340_by_256_by_default(run, folder):
    assert run("in/one.mp4", "-o", "out.h5")[0] == 0
    with Shard(folder / "out.h5") as shard:
        assert shard.size == (340, 256)


def test_every_parameter_of_the_method_is_an_option(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    chosen = TVL1Params(0.2, 0.1, 0.25, 2, 0.6, 1, 0.05, 30, 5, 0.1)
    options = []
    for field in fields(TVL1Params):
        if field.name == "variant":  # the other one is the native engines' alone
            continue
        assert getattr(chosen, field.name) != field.default
        name = field.name.strip("_").replace("_", "-")
        options += [f"--{name}", str(getattr(chosen, field.name))]
    assert main(["in/one.mp4", "-o", "a.h5", "-s", "32x24", "--backend", "opencv", *options]) == 0
    with Shard(folder / "a.h5") as shard:
        assert chosen.as_dict().items() <= shard.fingerprint.items()
        assert shard.fingerprint["backend"] == "opencv"
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(f"  {option} " in shown for option in [*options[::2], "--variant"])


def test_the_variant_is_an_option(run, folder):
    assert run("in/one.mp4", "-o", "a.h5", "-s", "32x24", "--variant", "opencv_cuda")[0] == 0
    with Shard(folder / "a.h5") as shard:
        assert shard.fingerprint["variant"] == "opencv_cuda"


def test_other_algorithms_make_the_same_files(folder, monkeypatch):
    monkeypatch.chdir(folder)
    for name in ("dis", "farneback"):
        assert main(["in/one.mp4", "-o", f"{name}.h5", "-a", name, "-w"]) == 0
        with Shard(folder / f"{name}.h5") as flow, Shard(folder / f"{name}.warped.h5") as warped:
            assert flow.fingerprint["algorithm"] == name
            assert warped.fingerprint["algorithm"] == f"warped {name}"
            assert flow.videos["one"].length == 11


def test_mp4_shows_frames_flow_and_warped_flow_side_by_side(run, folder):
    assert run("in/one.mp4", "-o", "out.mp4", "-w", "-s", "63x47")[0] == 0
    with av.open(str(folder / "out.mp4")) as container:
        # The demo's videos have 25 frames a second.
        assert container.streams.video[0].average_rate == 25
        shown = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    # Three cells of 63x47, two lines of 4 px between them, made even.
    assert np.shape(shown) == (11, 48, 198, 3)
    frames = np.stack(list(read_frames(folder / "in" / "one.mp4", (63, 47))))
    difference = shown[5][:47, :60].astype(float) - frames[5][:, :60]
    assert np.abs(difference).mean() < 8
    assert np.abs(np.diff(shown[5][:, 62:68].astype(float).mean(axis=(0, 2)))).max() > 50


def test_mp4_darkens_no_motion(run, folder):
    assert run("in/one.mp4", "-o", "out.mp4", "--max-magnitude", "0.01")[0] == 0
    flow = np.stack(list(read_frames(folder / "out.mp4", None)))[:, 4:-4, 72:-4]
    # Any colour of the wheel has one full channel, 255; above the scale it would be 191.
    assert np.median(flow.max(axis=-1)) > 240


def test_png_shows_four_frames_above_their_flow(run, folder):
    assert run("in/one.mp4", "-o", "out.png", "-w", "--max-magnitude", "3")[0] == 0
    figure = cv2.cvtColor(cv2.imread(str(folder / "out.png")), cv2.COLOR_BGR2RGB)
    assert figure.shape == (3 * 48 + 8, 4 * 64 + 12, 3)
    frames = list(read_frames(folder / "in" / "one.mp4", None))
    # Pairs 0, 3, 7 and 10 of 0…10: evenly spread, to the nearest.
    for column, pair in enumerate((0, 3, 7, 10)):
        left = column * 68
        np.testing.assert_array_equal(figure[:48, left : left + 64], frames[pair])
        first, second = (cv2.cvtColor(frames[t], cv2.COLOR_RGB2GRAY) for t in (pair, pair + 1))
        flow = TVL1(FAST)(np.stack([first, second]))
        coloured = colour_code(limit_magnitude(flow[0], 3), 3)
        np.testing.assert_array_equal(figure[52:100, left : left + 64], coloured)


def test_a_bad_video_is_one_sentence_and_the_others_are_done(run, folder):
    (folder / "in" / "bad.avi").write_text("no video")
    render(plan(1, 1, 1)[0], folder / "in" / "short.mp4", (64, 48), 12)
    data = (folder / "in" / "short.mp4").read_bytes()
    (folder / "in" / "short.mp4").write_bytes(data[:-100])
    for format in ("npy", "flo", "mp4", "png"):
        status, said = run("in", "-o", format, "-f", format)
        assert status == 1
        failed = [line for line in said.splitlines() if line.startswith("failed: ")]
        assert ["bad.avi" in failed[0], "short.mp4" in failed[1]] == [True, True]
        assert len(failed) == 2
        assert "2 of 4 video(s) done" in said
        assert not [name for name in files(folder / format) if "bad" in name or "short" in name]
    assert run("in", "-o", "out.h5", "-w", "-s", "64x48")[0] == 1
    for name in ("out.h5", "out.warped.h5"):
        with Shard(folder / name) as shard:
            assert [video.ok for video in shard.videos.values()] == [False, True, False, True]


@pytest.mark.parametrize("format", ["npy", "flo", "png"])
def test_a_long_name_is_written_where_it_fits_and_stops_no_other_video(run, folder, format):
    # With ".npy" 250 bytes, with ".warped.npy" above the 255 that file systems allow.
    long = "я" * 123
    (folder / "in" / f"{long}.mp4").hardlink_to(folder / "in" / "one.mp4")
    assert run("in", "-o", "out", "-f", format)[0] == 0
    assert len(files(folder / "out")) == (33 if format == "flo" else 3)
    if format == "npy":
        status, said = run("in", "-o", "warped", "-f", format, "-w")
        assert (status, said.count("failed: ")) == (1, 1)
        assert len(files(folder / "warped")) == 4


@pytest.mark.parametrize("out", ["out", "out.npy", "out.mp4", "out.h5"])
def test_a_video_that_breaks_half_way_leaves_nothing(run, folder, monkeypatch, out):
    def breaking(path, *arguments, **options):
        for count, frame in enumerate(read_frames(path, *arguments, **options)):
            if count == 9:
                raise VideoError("unreadable", path, "breaks")
            yield frame

    monkeypatch.setattr(export_chunks, "CHUNK", 4)
    monkeypatch.setattr(export_chunks, "read_frames", breaking)
    before = files(folder)
    options = ["-f", "flo"] if out == "out" else ["--max-magnitude", "9"] if "mp4" in out else []
    assert run("in/one.mp4", "-o", out, "-j", "1", *options)[0] == 1
    assert files(folder) == before


def test_outputs_are_kept_without_force_and_replaced_with_it(run, folder):
    def first_flo() -> float:
        return float(np.fromfile(folder / "out" / "one" / "000000.flo", "<f4", 1)[0])

    (folder / "out" / "one").mkdir(parents=True)
    for t in range(20):
        (folder / "out" / "one" / f"{t:06}.flo").write_bytes(np.float32(1).tobytes())
    status, said = run("in/one.mp4", "-o", "out", "-f", "flo")
    assert (status, first_flo()) == (0, 1)
    assert "1 output(s) exist and are kept as they are" in said
    assert run("in/one.mp4", "-o", "out", "-f", "flo", "--force")[0] == 0
    # Middlebury's tag.
    assert first_flo() == 202021.25
    assert len(files(folder / "out")) == 11


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.mp4", "-o", "out.npy"], "none.mp4"),
        (["in", "-o", "out.npy"], "-o out.npy"),
        (["in", "-o", "out", "--tau", "-1"], "tau"),
        (["in", "-o", "out", "--bound", "9", "-f", "npy"], "--bound"),
        (["in", "-o", "out", "--max-magnitude", "9"], "--max-magnitude"),
        (["in", "-o", "in/one.mp4/out", "-f", "npy"], "in/one.mp4"),
        (["in", "-o", "", "-f", "npy"], "-o"),
        (["in", "-o", "out", "-a", "dis", "--tau", "0.2"], "--tau"),
        (["in", "-o", "out", "--weights", "raft.pt"], "--weights"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_1(run, folder, arguments, said):
    before = files(folder)
    status, message = run(*arguments)
    assert (status, message.count("\n")) == (1, 1)
    assert message.startswith("error: ")
    assert said in message
    assert files(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["in"],
        ["--thread"],
        *(
            ["in", "-o", "a.h5", *option]
            for option in (
                ["-s", "0x9"],
                ["-s", "99999x1"],
                ["-s", "1x16385"],
                ["-s", "320"],
                ["--bound", "-1"],
                ["--bound", "nan"],
                ["--bound", "1e30"],
                ["--bound", "far"],
                ["--max-magnitude", "0"],
                ["--threads", "0"],
                ["--threads", "-1"],
                ["--threads", "1.5"],
                ["--threads", "99999999"],
            )
        ),
    ],
)
def test_arguments_that_cannot_be_read_are_one_sentence_and_status_2(run, arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        run(*arguments)
    assert capsys.readouterr().err.count("\n") == 1


def test_a_log_tells_rate_and_time_left(run, monkeypatch):
    monkeypatch.setattr("tsn.runtime.progress.INTERVAL", 0.0)
    monkeypatch.setattr(export_chunks, "CHUNK", 4)
    said = run("in/one.mp4", "-o", "out.npy", "-j", "1")[1]
    assert "flow: 4/11 pairs, " in said
    assert "/s, ETA 0:00:0" in said


def test_ended_by_a_scheduler_it_leaves_nothing_half_written(folder):
    render(plan(1, 1, 1)[0], folder / "long.mp4", (320, 240), 100)
    before = files(folder)
    # All scales and warps: many seconds of work.
    command = [sys.executable, "-m", "tsn.flow", "long.mp4", "-o", "long.npy", "-j", "1"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, cwd=folder, env={"PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True
    ) as process:
        while files(folder) == before and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert (process.returncode, said.count("\n")) == (130, 1)
    assert files(folder) == before
