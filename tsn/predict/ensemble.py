"""The models of a run, applied to video files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from tsn.config.schema import TestConfig
from tsn.data.dataset import TestSnippets
from tsn.data.sampling import LONGEST, dense_starts
from tsn.data.transforms import mirrored_labels
from tsn.datasets.records import Video
from tsn.evaluation.engine import Scorer
from tsn.evaluation.fusion import combine, mean_of_several, to_probabilities
from tsn.evaluation.pooling import pool, pool_crops
from tsn.evaluation.protocol import score_videos
from tsn.flow.overlay import OverlayFinder, find_overlay
from tsn.models.modality import FLOW_MODALITIES, NAMES, STREAM_OF
from tsn.models.network import TSN
from tsn.predict.dense import SnippetScores, dense_clips
from tsn.predict.run import FinishedRun
from tsn.predict.streams import Clip, StoredClip, Streams
from tsn.predict.timeline import Timeline
from tsn.runtime.errors import UserError
from tsn.runtime.files import sha256_of
from tsn.runtime.out_of_memory import oom_as_user_error
from tsn.runtime.progress import progress
from tsn.training.checkpoint import ModelInfo, load_model
from tsn.training.device import prepare
from tsn.video.decode import ANY_LENGTH, to_grey
from tsn.video.isolation import probe, read_frames

Advance = Callable[[str, float], None]
"""Told what is worked on, and which fraction of it is done; what it raises ends the work."""


@dataclass(frozen=True)
class Prediction:
    """Scores of one video.

    Attributes:
        path: the video file.
        frames: how many it has.
        scores: by modality, float64 (C,), before softmax.
        fused: float64 (C,), their fusion.
        probabilities: float64 (C,), of the fusion, 0…1.
        timeline: scores over time, if the protocol is dense.
        loss: of the networks, see `tsn.evaluation.fusion.probabilities`.
    """

    path: str
    frames: int
    scores: dict[str, np.ndarray]
    fused: np.ndarray
    probabilities: np.ndarray
    timeline: Timeline | None = None
    loss: str = "cross_entropy"


class Ensemble:
    """All networks of a run, loaded once for many videos.

    Attributes:
        classes: names in the order of the scores.
        networks: by modality, with what their files say of them.
        streams: makes frames and flow of decoded frames, if it decodes.
        fused_of: what is fused, "logits" or "probabilities".
        loss: of the networks, see `tsn.evaluation.fusion.probabilities`.

    Args:
        run: where they are.
        test: snippets and crops; None: as in the run's own test.
        modalities: take only these; None: all that the fusion has.
        threads: of the CPU.
        flow_weights: see `Streams`.
        decodes: whether it is for video files; if not, for clips of shards.

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
        decodes: bool = True,
    ):
        self._run, self._test, self.fused_of = run, test or run.protocol, run.fuse
        self._device = prepare(threads)
        self.networks = {
            modality: (network.to(memory_format=torch.channels_last).to(self._device), info)
            for modality, (network, info) in load_networks(run, modalities).items()
        }
        self._scorers = {
            modality: Scorer(network, self._device, self._test.engine)
            for modality, (network, _) in self.networks.items()
        }
        about = next(iter(self.networks.values()))[1]
        self.classes, self.loss = about.classes, about.loss
        if decodes:
            fingerprints = {modality: run.shards[modality] for modality in self.networks}
            self.streams = Streams(fingerprints, threads, flow_weights)

    @property
    def longest(self) -> int:
        """Frames that a snippet of each modality is made of, at least `LONGEST`."""
        frames = (
            info.snippet_frames + (self.streams.step if modality in FLOW_MODALITIES else 0)
            for modality, (_, info) in self.networks.items()
        )
        return max(LONGEST, *frames)

    @property
    def weights(self) -> dict[str, float]:
        """The fusion weights of the networks that take part."""
        return {modality: self._run.weights[modality] for modality in self.networks}

    @oom_as_user_error("close other programs, or run on a machine with more")
    def predict(self, path: str, partial: Path | None = None) -> Prediction:
        """Score one video file, which is decoded once for all modalities.

        Args:
            path: the video.
            partial: where the dense protocol keeps scores while it works, to go on from there if
                it is interrupted.

        Raises:
            VideoError: the video is bad.
            UserError: its scores are not finite, or memory is full.
        """
        if self._test.protocol == "dense":
            return self._predict_densely(path, partial)
        clip = self.decode(path)
        return self.pool(path, clip, self.score_clip(clip))

    def pool(
        self, path: str, clip: Clip | StoredClip, crops: dict[str, torch.Tensor]
    ) -> Prediction:
        """The answer for a video from what `score_clip` found.

        Raises:
            UserError: the scores are not finite.
        """
        pooling = self._test.pooling
        scores = {modality: pool_crops(scores, pooling) for modality, scores in crops.items()}
        return self._prediction(path, clip.length, scores)

    @oom_as_user_error("close other programs, or run on a machine with more")
    def score_clip(
        self,
        clip: Clip | StoredClip,
        starts: list[int] | None = None,
        advance: Advance | None = None,
    ) -> dict[str, torch.Tensor]:
        """Score snippets of a clip.

        Args:
            clip: holds their frames.
            starts: of the snippets; None: those of the test protocol.
            advance: called before each modality.

        Returns:
            By modality, float64 (snippets, crops, C), on the device.
        """
        found = {}
        for number, (modality, scorer) in enumerate(self._scorers.items()):
            if advance:
                advance(NAMES[modality], number / len(self._scorers))
            snippets = self.snippets(clip, modality)
            chosen = snippets.starts(0) if starts is None else np.array(starts)
            loader = [snippets.snippets(0, chosen)]
            mirrored = mirrored_labels(self.networks[modality][1].swap, self.classes)
            (found[modality],) = score_videos(scorer, loader, snippets, self._device, mirrored)
        return found

    def fuse(self, scores: dict[str, np.ndarray]) -> np.ndarray:
        """The weighted sum of the modalities' scores, (..., C); of "bce" the weighted mean."""
        fused = combine(scores, self.weights, self.fused_of, self.loss)
        return mean_of_several(fused, self.weights, self.loss)

    def _predict_densely(self, path: str, partial: Path | None) -> Prediction:
        test, networks = self._test, self.networks
        packets, exact_rate = probe(path)
        rate = float(exact_rate)
        about = Path(path).stat()
        key = [self._run.sha256, asdict(test), [*networks], about.st_size, about.st_mtime_ns]
        scores = SnippetScores(networks, partial, key)
        length = 0
        with progress(packets, "frames", Path(path).name) as advance:
            for clip, starts in self.dense_clips(path, rate, test.stride, len(scores)):
                if starts:
                    scores.add(self.score_clip(clip, starts))
                advance(clip.length - length)
                length = clip.length
        means = {modality: np.concatenate(parts) for modality, parts in scores.means.items()}
        chosen = scores.maxima if test.pooling == "window" else scores.means
        pooled = {
            modality: pool(np.concatenate(parts).astype(np.float64), test.pooling, test.stride)
            for modality, parts in chosen.items()
        }
        times = dense_starts(length, rate, test.stride) / rate
        timeline = Timeline(
            times,
            max(test.stride, 1 / rate),
            length / rate,
            self.fuse(means),
            self.fused_of,
            self.loss,
            self._run.temperature,
        )
        found = replace(self._prediction(path, length, pooled), timeline=timeline)
        scores.forget()
        return found

    def dense_clips(
        self, path: str, rate: float, stride: float, done: int = 0
    ) -> Iterator[tuple[Clip, list[int]]]:
        """The clips of a video file for `score_clip`, see `tsn.predict.dense.dense_clips`."""
        # What belongs to the screen is known at the end only: warped flow takes a pass before.
        overlay = find_overlay(map(to_grey, self._frames(path))) if self._has_warped_flow else None
        frames = self._frames(path)
        for clip, starts in dense_clips(self.streams, frames, rate, stride, done, self.longest):
            clip.overlay = overlay
            yield clip, starts

    def _prediction(self, path: str, length: int, scores: dict[str, np.ndarray]) -> Prediction:
        if not all(np.isfinite(values).all() for values in scores.values()):
            raise UserError(f"{path!r}: its scores are not finite; train the models again")
        fused = self.fuse(scores)
        probabilities = self.to_probabilities(fused)
        return Prediction(path, length, scores, fused, probabilities, loss=self.loss)

    def to_probabilities(self, fused: np.ndarray) -> np.ndarray:
        """Probabilities of what `fuse` gives, (..., C), calibrated where the run is."""
        return to_probabilities(fused, self.fused_of, self.loss, self._run.temperature)

    @property
    def _has_warped_flow(self) -> bool:
        return "warped_flow" in self.networks

    def _frames(self, path: str) -> Iterator[np.ndarray]:
        return read_frames(path, self.streams.size, max_frames=ANY_LENGTH)

    def starts(self, clip: Clip | StoredClip, modality: str) -> np.ndarray:
        """Starts of the snippets of the test protocol."""
        return self.snippets(clip, modality).starts(0)

    def decode(self, path: str, advance: Advance | None = None) -> Clip:
        """The frames that the snippets of all modalities are made of.

        Which they are depends on the number of frames, which a file says before it is decoded;
        where it is wrong, the video is decoded again.

        Args:
            path: the video.
            advance: called with each frame.
        """
        length = probe(path)[0]
        while True:
            clip = Clip(self.streams, length)
            needed, count = self._needed(clip), 0
            overlay = OverlayFinder() if self._has_warped_flow else None
            for count, frame in enumerate(self._frames(path), 1):
                if advance:
                    advance("frames", min(count / max(length, 1), 1.0))
                if count - 1 in needed:
                    clip.frames[count - 1] = frame
                if overlay:
                    overlay.add(to_grey(frame))
            if count == length:
                clip.overlay = overlay.result() if overlay else None
                return clip
            length = count

    def _needed(self, clip: Clip) -> set[int]:
        """Numbers of the frames that snippets are made of; flow, of all of its pairs."""
        needed: set[int] = set()
        for modality in self.networks:
            stream, snippets = clip.stream(STREAM_OF[modality]), self.snippets(clip, modality)
            indices = snippets.indices(0, snippets.starts(0))
            for step in range(stream.extra_frames + 1):
                needed |= {*(indices + step).tolist()}
        return needed

    def snippets(self, clip: Clip | StoredClip, modality: str) -> TestSnippets:
        """The snippets of a clip, which is the only video."""
        stream, video = clip.stream(STREAM_OF[modality]), Video(clip.id, "")
        info = self.networks[modality][1]
        # Dense ones are asked for by their starts.
        about = replace(self._test, protocol="segments"), info.input_size
        return TestSnippets(stream, [video], modality, *about, snippet_length=info.snippet_length)


def load_networks(
    run: FinishedRun, modalities: Sequence[str] | None = None
) -> dict[str, tuple[TSN, ModelInfo]]:
    """The networks of a run by modality, in evaluation mode on the CPU, and what they are.

    Raises:
        UserError: as `Ensemble`.
    """
    for modality in modalities or ():
        if modality not in run.weights:
            raise UserError(
                f"--modalities {modality}: {run.folder} fuses {', '.join(run.weights)}; "
                "choose among these"
            )
    networks = {modality: _load(run, modality) for modality in modalities or run.weights}
    infos = [info for _, info in networks.values()]
    for other in infos[1:]:
        shared = [(info.classes, info.split, info.loss) for info in (infos[0], other)]
        if shared[0] != shared[1]:
            raise UserError(
                f"{run.folder}: the {infos[0].modality} and {other.modality} models were "
                "trained for different classes, splits or losses; train them again"
            )
    return networks


def _load(run: FinishedRun, modality: str) -> tuple[TSN, ModelInfo]:
    path = run.models[modality]
    network, info = load_model(path)
    if sha256_of(path) != run.sha256[modality]:
        raise UserError(
            f"{path}: is not the model whose scores {run.folder / 'fusion.json'} fuses; "
            f"bring both up to date with snakemake {run.folder / 'fusion.json'}"
        )
    if info.modality != modality:
        raise UserError(f"{path}: is a model of {NAMES[info.modality]}; train it again")
    return network, info
