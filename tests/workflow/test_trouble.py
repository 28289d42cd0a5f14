"""Two runs at once, damaged files, edited indexes: named before anything is trained on them."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.workflow.pipeline import BROKEN, CLASSES, REPOSITORY, Pipeline
from tsn.shards.format import Shard
from tsn.verify import main as verify

pytestmark = pytest.mark.slow

SHARD = "results/tiny/shards/rgb/0001.h5"
CHECKED = "results/tiny/shards/rgb.quarantine.tsv"


@pytest.fixture
def checked(finished, tmp_path):
    """A copy of the finished run, to be damaged."""
    return Pipeline(shutil.copytree(finished.folder, tmp_path / "copy"))


def test_a_damaged_shard_is_named_before_training_and_rebuilt_by_two_commands(checked):
    path = checked.folder / SHARD
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    done = checked.snakemake("results/tiny/tsn/split1/rgb/model.pt")
    assert done.returncode != 0
    sentence = f"{SHARD}: damaged on disk, or made by another version"
    assert sentence in done.stderr and "python -m tsn.verify results/tiny --remove" in done.stderr
    assert "Traceback" not in done.stderr and "rule train_model" not in done.stderr
    assert verify([str(checked.folder / "results/tiny"), "--remove"]) == 1
    checked.run(CHECKED)
    assert path.read_bytes() == whole


def test_an_edited_index_is_refused(checked):
    index = checked.folder / "results/tiny/index.tsv"
    index.write_text(index.read_text().replace("\ttrain\n", "\ttest\n", 1))
    done = checked.snakemake(CHECKED)
    assert done.returncode != 0 and "--forcerun index_videos" in done.stderr
    checked.run(CHECKED, "--forcerun", "index_videos")


def test_a_second_run_in_the_same_folder_is_refused_and_harms_nothing(fresh):
    fresh.write_config()
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile"]
    command += ["--cores", "1", CHECKED, "--configfile", "config.yaml"]
    with subprocess.Popen(
        command, cwd=fresh.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as first:
        locks = fresh.folder / ".snakemake" / "locks"
        while first.poll() is None and not any(locks.glob("*")):
            time.sleep(0.05)
        first.send_signal(signal.SIGSTOP)  # so that it cannot be done before the second looks
        second = fresh.snakemake(CHECKED)
        first.send_signal(signal.SIGCONT)
        output, _ = first.communicate()
    assert first.returncode == 0, output
    assert second.returncode != 0
    assert "cannot be locked" in second.stderr
    assert fresh.would_run(CHECKED) == {}


def test_the_folder_of_videos_stays_as_it_is(finished):
    files = [path for path in (finished.folder / "videos").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".mp4", ".avi"}
    assert len(files) == len(BROKEN) + 8


def test_any_file_name_goes_through_all_rules(fresh):
    clips = sorted((fresh.folder / "videos" / CLASSES[0]).glob("train*.mp4"))
    names = ["-rf 'q\" $(touch x) `y` {z}.mp4", "new\nline; 🎬 .mp4", os.fsdecode(b"\xff%s&.mp4")]
    for clip, name in zip(clips, names, strict=False):
        clip.rename(clip.with_name(name))
    before = set(fresh.folder.iterdir())
    fresh.run(CHECKED)
    found = set()
    for path in (fresh.folder / "results/tiny/shards/rgb").glob("*.h5"):
        with Shard(path) as shard:
            found |= {video.id for video in shard.videos.values() if video.ok}
    assert {f"{CLASSES[0]}/{name.removesuffix('.mp4')}" for name in names} <= found
    new = {path.name for path in set(fresh.folder.iterdir()) - before}
    assert new <= {"results", ".snakemake", "config.yaml", "cache"}
