"""When a video tells its class: scores of its snippets over time, and the most telling ones."""

from dataclasses import dataclass, replace

import numpy as np

from tsn.config.schema import TestConfig
from tsn.flow.draw import colour_code
from tsn.models.modality import STREAM_OF
from tsn.predict.ensemble import Advance, Ensemble, Prediction
from tsn.predict.streams import Clip, StoredClip
from tsn.video.isolation import probe


@dataclass(frozen=True)
class Moments:
    """A prediction, and what it is made of, over the S snippets of the video.

    Attributes:
        prediction: the answer.
        clip: frames and flow that the snippets are made of.
        starts: by modality, int (S,), their first frames or flow fields.
        middles: by modality, int (S,), their middle frames or flow fields.
        times: float64 (S,), of the snippets' middles in seconds.
        probabilities: float64 (S, C), fused and of each snippet alone.
        leads: float64 (S,), fused score of the answer over that of the second class, divided by S:
            where snippets are averaged, they add up to the lead of the whole video.
    """

    prediction: Prediction
    clip: Clip | StoredClip
    starts: dict[str, np.ndarray]
    middles: dict[str, np.ndarray]
    times: np.ndarray
    probabilities: np.ndarray
    leads: np.ndarray

    def telling(self, count: int) -> list[int]:
        """The snippets with the largest leads, by time."""
        return sorted(np.argsort(-self.leads, kind="stable")[:count].tolist())


def by_segments(test: TestConfig) -> TestConfig:
    """A run's test as moments need it; `window` pools snippets at a fixed rate only."""
    pooling = "average" if test.pooling == "window" else test.pooling
    return replace(test, protocol="segments", pooling=pooling)


def find_moments(ensemble: Ensemble, path: str, advance: Advance | None = None) -> Moments:
    """Score a video snippet by snippet; the ensemble's test is `by_segments`.

    Raises:
        VideoError: the video is bad.
        UserError: its scores are not finite, or memory is full.
    """
    rate = float(probe(path, count=False)[1])
    return moments_of(ensemble, path, ensemble.decode(path, advance), rate, advance)


def moments_of(
    ensemble: Ensemble,
    path: str,
    clip: Clip | StoredClip,
    rate: float,
    advance: Advance | None = None,
) -> Moments:
    """`find_moments` of a clip of `rate` frames per second."""
    crops = ensemble.score_clip(clip, advance=advance)
    prediction = ensemble.pool(path, clip, crops)
    fused = ensemble.fuse({m: scores.mean(1).cpu().numpy() for m, scores in crops.items()})
    order = np.argsort(-prediction.fused, kind="stable")
    second = order[min(1, len(order) - 1)]
    starts = {modality: ensemble.starts(clip, modality) for modality in crops}
    frames = {modality: ensemble.networks[modality][1].snippet_frames for modality in crops}
    first = next(iter(starts))
    return Moments(
        prediction,
        clip,
        starts,
        {modality: starts[modality] + frames[modality] // 2 for modality in crops},
        (starts[first] + frames[first] / 2) / rate,
        ensemble.to_probabilities(fused),
        (fused[:, order[0]] - fused[:, second]) / len(fused),
    )


def image_of(moments: Moments, modality: str, snippet: int) -> np.ndarray:
    """What a modality sees of a snippet: its middle frame or flow field, uint8 (H, W, 3) RGB."""
    stream = moments.clip.stream(STREAM_OF[modality])
    number = stream.number(moments.clip.id)
    middle = min(int(moments.middles[modality][snippet]), stream.length_at(number) - 1)
    (image,) = stream.read_at(number, [middle])
    if stream.stream == "rgb":
        return image
    return colour_code(image.astype(np.float32) - 128)
