"""Features of video files, in the forms that programs which find actions in time read."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from tsn.config.schema import FeaturesConfig
from tsn.evaluation.features import Features, cut_off, describe, feature_file
from tsn.predict.ensemble import Ensemble
from tsn.runtime.files import atomic_path, write_json
from tsn.training.checkpoint import ModelInfo
from tsn.video.isolation import probe

Add = Callable[[Features], None]


class FeatureExtractor:
    """Features of any video by the networks of a run.

    Args:
        ensemble: whose test has the crops of `chosen`; it gives features instead of scores then.
        chosen: which features.
    """

    def __init__(self, ensemble: Ensemble, chosen: FeaturesConfig):
        for modality, (network, info) in ensemble.networks.items():
            cut_off(network, chosen.layer)
            if chosen.layer == "pool":  # which has no classes that mirroring could exchange
                ensemble.networks[modality] = network, replace(info, swap={})
        self._ensemble, self._chosen = ensemble, chosen

    def __call__(self, path: str, name: str) -> dict[str, Features]:
        """Features of a video file by modality; `name` is their id.

        Raises:
            VideoError: the video is bad.
        """
        values: dict[str, list[np.ndarray]] = {m: [] for m in self._ensemble.networks}
        starts: list[int] = []
        frames = 0
        # A rate of one frame a second makes seconds frames.
        for clip, new in self._ensemble.dense_clips(path, 1.0, self._chosen.stride):
            frames = clip.length
            starts += new
            for modality, crops in self._ensemble.score_clip(clip, new).items() if new else ():
                values[modality].append(crops.mean(1).float().cpu().numpy())
        fps = float(probe(path, count=False)[1])
        return {
            modality: Features(name, np.concatenate(parts), np.array(starts), frames, fps)
            for modality, parts in values.items()
        }


@contextmanager
def feature_folder(
    folder: Path, infos: list[ModelInfo], chosen: FeaturesConfig, form: str
) -> Iterator[dict[str, Add]]:
    """Write features of many videos, with a function by modality.

    Args:
        folder: where to.
        infos: of the networks, one a modality.
        chosen: which features.
        form: "h5": `{modality}.h5`, see `tsn.evaluation.features.feature_file`; "npy" or "csv":
            `{modality}/{id}.npy` and the like, with `{modality}/features.json`, which says what
            they are and has "fps", "frames" and "starts" of each video.
    """
    with ExitStack() as stack:
        write = feature_file if form == "h5" else (_npy if form == "npy" else _csv)
        yield {
            info.modality: stack.enter_context(
                write(
                    folder / (f"{info.modality}.h5" if form == "h5" else info.modality),
                    describe(info, chosen),
                )
            )
            for info in infos
        }


@contextmanager
def _npy(folder: Path, about: dict) -> Iterator[Add]:
    """(T, C) float32, as OpenTAD and ActionFormer read it."""

    def write(path: Path, values: np.ndarray) -> None:
        # Into an open file: to a name, NumPy adds its ending.
        with (
            atomic_path(path.with_name(f"{path.name}.npy")) as temporary,
            temporary.open("wb") as f,
        ):
            np.save(f, values)

    with _one_file_each(folder, about, write) as add:
        yield add


@contextmanager
def _csv(folder: Path, about: dict) -> Iterator[Add]:
    """A line a snippet after a line of names, as mmaction2's BMN reads it."""

    def write(path: Path, values: np.ndarray) -> None:
        header = ",".join(f"f{n}" for n in range(values.shape[1]))
        with atomic_path(path.with_name(f"{path.name}.csv")) as temporary:
            np.savetxt(temporary, values, "%.9g", ",", header=header, comments="")

    with _one_file_each(folder, about, write) as add:
        yield add


@contextmanager
def _one_file_each(
    folder: Path, about: dict, write: Callable[[Path, np.ndarray], None]
) -> Iterator[Add]:
    videos = {}

    def add(video: Features) -> None:
        write(folder / video.id, video.values)
        videos[video.id] = {
            "fps": video.fps,
            "frames": video.frames,
            "starts": video.starts.tolist(),
        }

    yield add
    write_json(folder / "features.json", {**about, "videos": videos})
