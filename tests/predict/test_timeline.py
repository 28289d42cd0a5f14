"""From scores over time to segments and files."""

import numpy as np
import pytest

from tsn.evaluation.fusion import softmax
from tsn.predict.timeline import (
    Merging,
    Segment,
    Timeline,
    detections,
    find_segments,
    write_timeline,
)

CLASSES = ("walk", "a <b> --> c")


def timeline(second: list[float], stride=1.0) -> Timeline:
    """Of two classes; `second` are the probabilities of the second one."""
    values = np.array(second)
    scores = np.log(np.stack([1 - values, values], axis=1))
    times = np.arange(len(values)) * stride
    return Timeline(times, stride, len(values) * stride, scores)


def spans(found: list[Segment], label=1) -> list[tuple]:
    return [(s.start, s.end) for s in found if s.label == label]


SHARP = Merging(windows=(1.0,))


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ([0.1, 0.1, 0.9, 0.9, 0.1], [(1.5, 3.5)]),
        # Hysteresis: it lasts above 0.25, and starts only where 0.5 is reached.
        ([0.1, 0.3, 0.6, 0.3, 0.1, 0.4, 0.1], [(0.5, 3.5)]),
        # To the ends of the video.
        ([0.9, 0.1, 0.1, 0.1, 0.9], [(0.0, 0.5), (3.5, 5.0)]),
    ],
)
def test_segments_have_hysteresis(second, expected):
    found = find_segments(timeline(second), Merging(windows=(1.0,), shortest=0.1))
    assert spans(found) == expected


def test_a_score_is_the_mean_probability():
    (found,) = [s for s in find_segments(timeline([0.01, 0.6, 0.8, 0.01]), SHARP) if s.label]
    assert found.score == pytest.approx(0.7)


def test_short_segments_are_left_out():
    second = [0.1, 0.9, 0.1, 0.1, 0.9, 0.9, 0.1]
    assert spans(find_segments(timeline(second), SHARP)) == [(0.5, 1.5), (3.5, 5.5)]
    found = find_segments(timeline(second), Merging(windows=(1.0,), shortest=1.5))
    assert spans(found) == [(3.5, 5.5)]


def test_a_window_averages_scores_before_softmax():
    line = timeline([0.1, 0.2, 0.7, 0.9])
    found = line.probabilities(3.0)
    expected = [line.fused[max(0, n - 1) : n + 2].mean(0) for n in range(4)]
    assert found == pytest.approx(softmax(np.array(expected)))


def test_of_overlapping_segments_of_several_windows_the_better_one_is_kept():
    second = [0.01] * 6 + [0.9, 0.9, 0.9, 0.9] + [0.01] * 6
    both = find_segments(timeline(second), Merging(windows=(1.0, 3.0)))
    assert spans(both) == spans(find_segments(timeline(second), SHARP)) == [(5.5, 9.5)]
    kept = find_segments(timeline(second), Merging(windows=(1.0, 3.0), max_overlap=1.0))
    assert len(spans(kept)) == 2


def test_files_of_a_timeline(tmp_path):
    segments = [Segment(0.5, 3661.25, 1, 0.876)]
    stem = tmp_path / "v.1"
    write_timeline(stem, "v.mp4", timeline([0.9] * 4), segments, CLASSES)
    assert (tmp_path / "v.1.csv").read_text().splitlines() == [
        "video,start,end,label,score",
        "v.mp4,0.500,3661.250,a <b> --> c,0.8760",
    ]
    cue = "00:00:00{0}500 --> 01:01:01{0}250\na ‹b› --› c (88 %)\n"
    assert (tmp_path / "v.1.srt").read_text() == "1\n" + cue.format(",")
    assert (tmp_path / "v.1.vtt").read_text() == "WEBVTT\n\n1\n" + cue.format(".")
    assert (tmp_path / "v.1.png").stat().st_size > 1000
    assert detections(segments, CLASSES) == [
        {"label": "a <b> --> c", "score": 0.876, "segment": [0.5, 3661.25]}
    ]
