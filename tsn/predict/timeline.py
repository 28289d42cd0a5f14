"""What happens when: from the scores of snippets over time to segments of a video, and to files.

timeline = ensemble.predict("film.mp4").timeline
for segment in find_segments(timeline):
print(segment)
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tsn.evaluation.fusion import to_probabilities
from tsn.evaluation.localisation import overlaps
from tsn.report.style import figure, printable
from tsn.runtime.files import write_json, write_text


@dataclass(frozen=True)
class Timeline:
    """Fused scores over time.

    Attributes:
        times: float64 (T,), of the snippets in seconds.
        stride: seconds from one to the next.
        duration: of the video in seconds.
        fused: float64 (T, C), see `tsn.evaluation.fusion.combine`.
        fuse: what was fused, "logits" or "probabilities".
        loss: of the networks, see `tsn.evaluation.fusion.probabilities`.
        temperature: of the calibration; 1 for none.
    """

    times: np.ndarray
    stride: float
    duration: float
    fused: np.ndarray
    fuse: str = "logits"
    loss: str = "cross_entropy"
    temperature: float = 1.0

    def probabilities(self, window: float) -> np.ndarray:
        """Probabilities over time, (T, C), of scores averaged over `window` seconds around each."""
        half, count = int(window / self.stride / 2), len(self.fused)
        sums = np.concatenate([np.zeros((1, self.fused.shape[1])), self.fused.cumsum(0)])
        first = np.maximum(np.arange(count) - half, 0)
        last = np.minimum(np.arange(count) + half + 1, count)
        means = (sums[last] - sums[first]) / (last - first)[:, None]
        return to_probabilities(means, self.fuse, self.loss, self.temperature)


class Segment(NamedTuple):
    """A class (its label) from `start` to `end` seconds; `score` is its mean probability."""

    start: float
    end: float
    label: int
    score: float


@dataclass(frozen=True)
class Merging:
    """How probabilities over time become segments.

    Attributes:
        windows: in seconds; scores are averaged over each of them, and all segments compete.
        threshold: a segment has a moment at which its class is at least that probable.
        lowest: it goes on for as long as the class is at least that probable.
        shortest: segments of fewer seconds are left out.
        max_overlap: of two segments of one class with a higher tIoU, the better one is kept.
    """

    windows: tuple[float, ...] = (2.0,)
    threshold: float = 0.5
    lowest: float = 0.25
    shortest: float = 1.0
    max_overlap: float = 0.4


def find_segments(timeline: Timeline, how: Merging = Merging()) -> list[Segment]:
    """The segments of a video, by time; those of one class hardly overlap."""
    candidates = [
        segment
        for window in how.windows
        for segment in _above(timeline, timeline.probabilities(window), how)
        if segment.end - segment.start >= how.shortest
    ]
    kept: list[Segment] = []
    for one in sorted(candidates, key=lambda segment: -segment.score):
        rivals = np.array([other[:2] for other in kept if other.label == one.label])
        if not len(rivals) or (overlaps(one[:2], rivals) <= how.max_overlap).all():
            kept.append(one)
    return sorted(kept)


def _above(timeline: Timeline, probabilities: np.ndarray, how: Merging) -> list[Segment]:
    """Runs of snippets above `lowest`, with one at `threshold` or above."""
    found = []
    half = timeline.stride / 2
    for label in np.flatnonzero((probabilities >= how.threshold).any(0)):
        values = probabilities[:, label]
        edges = np.diff((values >= how.lowest).astype(np.int8), prepend=0, append=0)
        for first, after in zip(
            np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True
        ):
            run = values[first:after]
            if run.max() >= how.threshold:
                # A snippet stands for half a stride on both sides of it, the last for the rest.
                start = max(timeline.times[first] - half, 0.0)
                end = timeline.times[after - 1] + half if after < len(values) else np.inf
                end = min(end, timeline.duration)
                found.append(Segment(float(start), float(end), int(label), float(run.mean())))
    return found


def write_timeline(
    stem: Path, video: str, timeline: Timeline, segments: Sequence[Segment], classes: Sequence[str]
) -> None:
    """Write STEM.csv (a table of segments), .srt and .vtt (subtitles) and .png (a figure)."""
    rows = [(video, f"{s.start:.3f}", f"{s.end:.3f}", classes[s.label], f"{s.score:.4f}")
            for s in segments]  # fmt: skip
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        [("video", "start", "end", "label", "score"), *rows]
    )
    for ending, content in (
        ("csv", text.getvalue()),
        ("srt", _subtitles(segments, classes, ",")),
        ("vtt", "WEBVTT\n\n" + _subtitles(segments, classes, ".")),
    ):
        write_text(stem.with_name(f"{stem.name}.{ending}"), content)
    draw_timeline(stem.with_name(f"{stem.name}.png"), timeline, segments, classes)


def detections(segments: Sequence[Segment], classes: Sequence[str]) -> list[dict]:
    """The segments of a video as in ActivityNet's detection format."""
    return [
        {"label": classes[s.label], "score": s.score, "segment": [s.start, s.end]} for s in segments
    ]


def write_detections(path: Path, results: dict[str, list[dict]]) -> None:
    """Write `detections` by video, in ActivityNet's format (version 1.3)."""
    write_json(path, {"version": "VERSION 1.3", "results": results, "external_data": {}})


def _subtitles(segments: Sequence[Segment], classes: Sequence[str], point: str) -> str:
    """Cues as SRT (decimal comma) and WebVTT (point) have them."""
    cues = []
    for number, one in enumerate(segments, 1):
        span = f"{_clock(one.start, point)} --> {_clock(one.end, point)}"
        # Subtitles have mark-up in angle brackets, and "-->" parts times.
        name = printable(classes[one.label], 80).replace("<", "‹").replace(">", "›")
        cues.append(f"{number}\n{span}\n{name} ({100 * one.score:.0f} %)\n")
    return "\n".join(cues)


def _clock(seconds: float, point: str) -> str:
    whole, thousandth = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{thousandth:03}"


MOST_SHOWN = 12
"""Classes in a figure."""


def shown_classes(segments: Sequence[Segment], most: int = MOST_SHOWN) -> list[int]:
    """Labels of the classes with the longest segments, in the order of their first one."""
    lasting: dict[int, float] = {}
    for one in segments:
        lasting[one.label] = lasting.get(one.label, 0.0) + one.end - one.start
    chosen = set(sorted(lasting, key=lambda label: -lasting[label])[:most])
    return [label for label in lasting if label in chosen]


def draw_timeline(
    path: Path, timeline: Timeline, segments: Sequence[Segment], classes: Sequence[str]
) -> None:
    """Draw a row for each class: its probability over time as a curve, its segments as bars."""
    probabilities = timeline.probabilities(timeline.stride)
    labels = shown_classes(segments) or [int(probabilities.mean(0).argmax())]
    with figure(path, 9, 0.8 + 0.42 * len(labels)) as axes:
        for row, label in enumerate(labels):
            bars = [(s.start, s.end - s.start) for s in segments if s.label == label]
            axes.broken_barh(bars, (row - 0.4, 0.8), color=f"C{row % 10}", alpha=0.35)
            curve = row + 0.4 - 0.8 * probabilities[:, label]
            axes.plot(timeline.times, curve, color=f"C{row % 10}", linewidth=0.9)
        axes.set_yticks(range(len(labels)), [printable(classes[label]) for label in labels])
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlim(0, timeline.duration)
        minutes = timeline.duration > 300
        axes.xaxis.set_major_formatter(
            lambda t, _: f"{int(t) // 60}:{int(t) % 60:02}" if minutes else f"{t:g}"
        )
        axes.set_xlabel("time (minutes:seconds)" if minutes else "time (s)")
