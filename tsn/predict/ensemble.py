"""The models of a run, applied to video files."""

from dataclasses import dataclass

import numpy as np
import torch

from tsn.config.schema import TestConfig
from tsn.data.dataset import TestSnippets
from tsn.datasets.records import Video
from tsn.evaluation.fusion import combine, softmax
from tsn.evaluation.protocol import score_videos
from tsn.models.modality import NAMES
from tsn.models.network import TSN
from tsn.predict.clip import Clip, RowMaker
from tsn.predict.run import FinishedRun
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.training.checkpoint import ModelInfo, load_model
from tsn.training.device import prepare


@dataclass(frozen=True)
class Prediction:
    """What a run says of one video.

    Attributes:
        path: the video file.
        frames: how many it has.
        scores: by modality, float64 (C,), before softmax.
        fused: float64 (C,), their fusion.
        shares: float64 (C,), the fusion as shares of the classes, 0…1.
    """

    path: str
    frames: int
    scores: dict[str, np.ndarray]
    fused: np.ndarray
    shares: np.ndarray


class Ensemble:
    """All networks of a run, loaded once for many videos.

    Attributes:
        classes: names in the order of the scores.

    Args:
        run: where they are.
        test: snippets and crops; None: as in the run's own test.
        modalities: take only these; None: all that the fusion has.
        threads: of the CPU.

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
    ):
        for modality in modalities or ():
            if modality not in run.weights:
                raise UserError(
                    f"--modalities {modality}: {run.folder} fuses {', '.join(run.weights)}; "
                    "choose among these"
                )
        self._run, self._test = run, test or run.protocol
        self._device = prepare(threads)
        self._networks: dict[str, tuple[TSN, ModelInfo, RowMaker]] = {}
        for modality in modalities or run.weights:
            network, info = self._load(modality)
            network = network.to(self._device, memory_format=torch.channels_last)
            maker = RowMaker(modality, run.shards[modality], threads)
            self._networks[modality] = (network, info, maker)
        self.classes = self._check_alike()

    @property
    def weights(self) -> dict[str, float]:
        """The fusion weights of the networks that take part."""
        return {modality: self._run.weights[modality] for modality in self._networks}

    def predict(self, path: str) -> Prediction:
        """Score one video file.

        Raises:
            VideoError: it is bad.
        """
        scores, frames = {}, 0
        for modality, (network, info, maker) in self._networks.items():
            clip = Clip(path, maker)
            frames = clip.frames
            video = Video(path, path, "", 0, {})
            snippets = TestSnippets(clip, [video], modality, self._test, info.input_size)
            scored = score_videos(network, [snippets[0]], snippets, self._device)
            scores[modality] = next(scored).cpu().numpy()
        if not all(np.isfinite(values).all() for values in scores.values()):
            raise UserError(f"{path!r}: its scores are not finite; train the models again")
        fused = combine(scores, self.weights, self._run.fuse)
        shares = softmax(fused) if self._run.fuse == "logits" else fused / fused.sum()
        return Prediction(path, frames, scores, fused, shares)

    def _load(self, modality: str) -> tuple[TSN, ModelInfo]:
        path = self._run.models[modality]
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
        infos = [info for _, info, _ in self._networks.values()]
        for other in infos[1:]:
            if (other.classes, other.split) != (infos[0].classes, infos[0].split):
                raise UserError(
                    f"{self._run.folder}: the {infos[0].modality} and {other.modality} models were "
                    "trained for different classes or splits; train them again"
                )
        return infos[0].classes
