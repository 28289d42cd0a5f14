"""The models of a run, applied to video files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tsn.config.schema import TestConfig
from tsn.data.dataset import TestSnippets
from tsn.datasets.records import Video
from tsn.evaluation.engine import Scorer
from tsn.evaluation.fusion import combine, softmax
from tsn.evaluation.pooling import pool_crops
from tsn.evaluation.protocol import score_videos
from tsn.flow.overlay import OverlayFinder
from tsn.models.modality import NAMES, STREAM_OF
from tsn.models.network import TSN
from tsn.predict.run import FinishedRun
from tsn.predict.streams import Clip, ClipStream, Streams
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.training.checkpoint import ModelInfo, load_model
from tsn.training.device import prepare
from tsn.video.decode import to_grey
from tsn.video.isolation import probe, read_frames

ANY_LENGTH = 2**62
"""Frames: videos that are not trained on may be of any length."""


@dataclass(frozen=True)
class Prediction:
    """Scores of one video.

    Attributes:
        path: the video file.
        frames: how many it has.
        scores: by modality, float64 (C,), before softmax.
        fused: float64 (C,), their fusion.
        probabilities: float64 (C,), of the fusion, 0…1.
    """

    path: str
    frames: int
    scores: dict[str, np.ndarray]
    fused: np.ndarray
    probabilities: np.ndarray


class Ensemble:
    """All networks of a run, loaded once for many videos.

    Attributes:
        classes: names in the order of the scores.

    Args:
        run: where they are.
        test: snippets and crops; None: as in the run's own test.
        modalities: take only these; None: all that the fusion has.
        threads: of the CPU.
        flow_weights: see `Streams`.

    Raises:
        UserError: a model is not there, is not the one that was fused, or does not go with the
            others or with this machine.
    """

    def __init__(
        self,
        run: FinishedRun,
        test: TestConfig | None = None,
        modalities: list[str] | None = None,
        threads: int = 1,
        flow_weights: str | None = None,
    ):
        for modality in modalities or ():
            if modality not in run.weights:
                raise UserError(
                    f"--modalities {modality}: {run.folder} fuses {', '.join(run.weights)}; "
                    "choose among these"
                )
        self._run, self._test = run, test or run.protocol
        self._device = prepare(threads)
        self._networks: dict[str, tuple[TSN, ModelInfo]] = {}
        for modality in modalities or run.weights:
            network, info = self._load(modality)
            network = network.to(memory_format=torch.channels_last).to(self._device)
            self._networks[modality] = (network, info)
        self._scorers = {
            modality: Scorer(network, self._device, self._test.engine)
            for modality, (network, _) in self._networks.items()
        }
        self.classes = self._check_alike()
        self._streams = Streams({m: run.shards[m] for m in self._networks}, threads, flow_weights)

    @property
    def weights(self) -> dict[str, float]:
        """The fusion weights of the networks that take part."""
        return {modality: self._run.weights[modality] for modality in self._networks}

    @oom_as_user_error("close other programs, or run on a machine with more")
    def predict(self, path: str) -> Prediction:
        """Score one video file, which is decoded once for all modalities.

        Raises:
            VideoError: the video is bad.
            UserError: its scores are not finite, or memory is full.
        """
        clip = self._decode(path)
        scores = {}
        for modality, scorer in self._scorers.items():
            snippets = self._snippets(clip, modality)
            (video,) = score_videos(scorer, [snippets[0]], snippets, self._device)
            scores[modality] = pool_crops(video, self._test.pooling)
        if not all(np.isfinite(values).all() for values in scores.values()):
            raise UserError(f"{path!r}: its scores are not finite; train the models again")
        fused = combine(scores, self.weights, self._run.fuse)
        probabilities = softmax(fused) if self._run.fuse == "logits" else fused / fused.sum()
        return Prediction(path, clip.length, scores, fused, probabilities)

    def _decode(self, path: str) -> Clip:
        """The frames that the snippets of all modalities are made of.

        Which they are depends on the number of frames, which a file says before it is decoded;
        where it is wrong, the video is decoded again.
        """
        length = probe(path)[0]
        while True:
            clip = Clip(self._streams, length)
            needed, count = self._needed(clip), 0
            overlay = OverlayFinder() if "warped_flow" in self._networks else None
            for count, frame in enumerate(
                read_frames(path, self._streams.size, max_frames=ANY_LENGTH), 1
            ):
                if count - 1 in needed:
                    clip.frames[count - 1] = frame
                if overlay:
                    overlay.add(to_grey(frame))
            if count == length:
                clip.overlay = overlay.result() if overlay else None
                return clip
            length = count

    def _needed(self, clip: Clip) -> set[int]:
        """Numbers of the frames that snippets are made of; a flow field needs two."""
        needed: set[int] = set()
        for modality in self._networks:
            stream, snippets = ClipStream(clip, STREAM_OF[modality]), self._snippets(clip, modality)
            indices = snippets.indices(0, snippets.starts(0))
            needed |= {*indices.tolist()}
            if stream.stream != "rgb":
                needed |= {*(indices + 1).tolist()}
        return needed

    def _snippets(self, clip: Clip, modality: str) -> TestSnippets:
        video = Video("", "", "")
        stream = ClipStream(clip, STREAM_OF[modality])
        input_size = self._networks[modality][1].input_size
        return TestSnippets(stream, [video], modality, self._test, input_size)

    def _load(self, modality: str) -> tuple[TSN, ModelInfo]:
        path: Path = self._run.models[modality]
        network, info = load_model(path)
        if sha256_of(path) != self._run.sha256[modality]:
            raise UserError(
                f"{path}: is not the model whose scores {self._run.folder / 'fusion.json'} fuses; "
                f"bring both up to date with snakemake {self._run.folder / 'fusion.json'}"
            )
        if info.modality != modality:
            raise UserError(f"{path}: is a model of {NAMES[info.modality]}; train it again")
        return network, info

    def _check_alike(self) -> tuple[str, ...]:
        infos = [info for _, info in self._networks.values()]
        for other in infos[1:]:
            if (other.classes, other.split) != (infos[0].classes, infos[0].split):
                raise UserError(
                    f"{self._run.folder}: the {infos[0].modality} and {other.modality} models were "
                    "trained for different classes or splits; train them again"
                )
        return infos[0].classes
