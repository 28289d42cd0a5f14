"""Tiny data sets, shards and configurations that tests of several packages share."""

import copy
import logging
import shutil
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

WriteVideo = Callable[..., Path]

SHARED = ("tests/flow/cuda/", "tests/predict/", "tests/workflow/")
"""Folders whose files share what takes long to make, and so a process."""

LONGEST = ("tests/slurm/", "tests/workflow/")
"""Folders that several processes begin with, so that none of them is left to one at the end."""

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest first, and skip what needs a GPU where there is none that can be used."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    from tsn.runtime.cuda import why_unavailable

    if reason := why_unavailable():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Tests of a file, or of a folder of `SHARED`, run in one process; in order of collection."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return next((folder for folder in SHARED if file.startswith(folder)), file)

    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """Training and testing switch all of PyTorch to deterministic algorithms."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_deterministic_debug_mode("default")


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Commands send the project's messages to the terminal alone, where `caplog` does not look."""
    logger = logging.getLogger("tsn")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:], logger.propagate = handlers, True
    logger.setLevel(level)


@pytest.fixture
def on_cpu(monkeypatch) -> None:
    """Networks run on the CPU, where results repeat bit for bit, also beside a GPU."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


AWKWARD = "My Drive's (a) & b"
"""A folder's name that means other things to a shell."""


@dataclass(frozen=True)
class Checkout:
    """A copy of the project with an environment of its own, which has this one's packages."""

    folder: Path
    python: Path


@pytest.fixture(scope="session")
def awkward_checkout(tmp_path_factory) -> Checkout:
    """The project in a folder whose path no shell takes unquoted, as `make` sets it up."""
    folder = tmp_path_factory.mktemp("checkout") / AWKWARD
    project = Path(__file__).parents[1]
    names = ("Makefile", "Snakefile", "config", "profiles", "pyproject.toml", "requirements.lock")
    for name in (*names, "tools", "tsn", "workflow"):
        copy = shutil.copytree if (project / name).is_dir() else shutil.copy2
        folder.mkdir(parents=True, exist_ok=True)
        copy(project / name, folder / name)
    environment = folder / ".venv"
    venv.create(environment, symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    Path(packages, "shared.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    (environment / "installed").touch()
    return Checkout(folder, environment / "bin" / "python")


@pytest.fixture
def config() -> dict:
    """The project's own config.yaml, free to be changed."""
    import yaml

    return copy.deepcopy(yaml.safe_load(CONFIG.read_text()))


@dataclass(frozen=True)
class TinySet:
    """An index and its shards: split 1, classes red and blue, frames of 64x48 pixels."""

    index: Path
    shards: dict[str, list[str]]


@pytest.fixture(scope="session")
def make_tiny_set(tmp_path_factory) -> Callable[..., TinySet]:
    """A function that writes a `TinySet` of `train` and `test` videos a class, without any video.

    Red videos are reddish and move down, blue ones bluish and move up: also in a mirror. Videos in
    `bad` are quarantined; `fingerprint` is that of the flow shards.
    """
    from tsn.datasets.build_index import videos_by_shard, write_index
    from tsn.datasets.index import read_index
    from tsn.datasets.listing import Listing
    from tsn.datasets.records import Video
    from tsn.shards.format import write_shard
    from tsn.shards.jpeg import encode_jpeg

    def make(train=4, test=2, frames=9, bad=(), fingerprint=None, splits=(1,)) -> TinySet:
        folder = tmp_path_factory.mktemp("tiny")
        parts = ["train"] * train + ["test"] * test
        videos = tuple(
            Video(f"{name}/{n}", f"{name}/{n}.avi", name, splits=dict.fromkeys(splits, part))
            for name in ("blue", "red")
            for n, part in enumerate(parts)
        )
        index = folder / "index.tsv"
        write_index(index, Listing(("red", "blue"), videos), 2, splits)
        rng = np.random.default_rng(5)
        shards: dict[str, list[str]] = {"rgb": [], "flow": []}
        for shard, members in sorted(videos_by_shard(read_index(index), 2).items()):
            for stream, made_by in (("rgb", {"q": 95}), ("flow", fingerprint or {"by": "hand"})):
                path = folder / f"{stream}{int(shard)}.h5"
                shards[stream].append(str(path))
                with write_shard(path, stream, (64, 48), made_by, {}) as writer:
                    for video in members:
                        if video.id in bad:
                            writer.quarantine(video.id, video.class_name, "missing", "not there")
                            continue
                        sign = 1 if video.class_name == "red" else -1
                        image = rng.integers(60, 180, (frames, 48, 64, 3))
                        image[..., 0] += 60 * sign
                        motion = rng.integers(118, 138, (frames - 1, 2, 48, 64))
                        motion[:, 1] += 40 * sign
                        rows = (
                            [encode_jpeg(frame, 95) for frame in image.astype(np.uint8)]
                            if stream == "rgb"
                            else [motion.astype(np.uint8)]
                        )
                        writer.add(video.id, video.class_name, rows)
        return TinySet(index, shards)

    return make


@pytest.fixture(scope="session")
def tiny_set(make_tiny_set) -> TinySet:
    """4 + 4 train and 2 + 2 test videos of 9 frames; nobody may write into it."""
    return make_tiny_set()


@pytest.fixture(scope="session")
def make_job() -> Callable[..., object]:
    """A function that gives a `TrainingJob` of a few iterations on 32x32 pixels.

    ShuffleNet 0.5x is torchvision's smallest network, and has batch normalisation.
    """
    from tsn.config.schema import ModelConfig, TrainingConfig
    from tsn.training.job import TrainingJob

    def make(modality="rgb", split=1, seed=1, model=None, **recipe) -> TrainingJob:
        network = {
            "backbone": "shufflenet_v2_x0_5",
            "weights": "none",
            "sha256": None,
            "cross_modality": True,
            "consensus": "average",
            "input_size": 32,
        }
        training = {
            "segments": 2,
            "batch_size": 4,
            "micro_batch": 4,
            "epochs": 3,
            "lr_milestones": (2,),
            "lr": 0.01,
            "momentum": 0.9,
            "weight_decay": 5e-4,
            "clip_gradient": 20.0,
            "dropout": 0.5,
            "partial_bn": True,
            "crop_scales": (1.0, 0.875, 0.75),
            "flip": True,
            "precision": "fp32",
            "compile": False,
            "validation": 0,
            "keep": "last",
        }
        return TrainingJob(
            "tiny",
            "tsn",
            split,
            modality,
            seed,
            ModelConfig(**{**network, **(model or {})}),
            TrainingConfig(**{**training, **recipe}),
        )

    return make


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """A function that encodes images into a file under `tmp_path` and returns its path.

    Arguments: the name, whose ending chooses the container; uint8 (height, width, 3) RGB
    images; codec ("ffv1" and "png" are lossless); pixel format; container options; time stamps
    in 1/25 s; metadata of the image stream.
    """

    import av

    def write(
        name: str,
        images: Iterable[np.ndarray],
        codec: str = "ffv1",
        pix_fmt: str | None = None,
        options: dict[str, str] | None = None,
        pts: Iterable[int] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Path:
        images = list(images)
        path = tmp_path / name
        with av.open(str(path), "w", options=options) as out:
            stream = out.add_stream(codec, rate=25)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt = pix_fmt or {"ffv1": "bgr0", "png": "rgb24"}.get(codec, "yuv420p")
            stream.metadata.update(tags or {})
            for stamp, image in zip(pts or range(len(images)), images, strict=True):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
                frame.pts = stamp
                out.mux(stream.encode(frame))
            out.mux(stream.encode())
        return path

    return write


@pytest.fixture
def images() -> np.ndarray:
    """Twelve smooth, unlike images: uint8 (12, 48, 64, 3) RGB."""
    y, x = np.mgrid[:48, :64]
    return np.array(
        [np.stack([4 * x, 5 * y, np.full_like(x, 20 * t)], axis=-1) for t in range(12)], np.uint8
    )
