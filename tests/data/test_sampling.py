"""Which snippets are taken: the rules of tsn-pytorch and of the Caffe release, worked by hand."""

import numpy as np
import pytest

from tsn.data.sampling import (
    SNIPPET_SAMPLING,
    caffe_starts,
    centre_starts,
    dense_starts,
    snippet_indices,
    starts_available,
    train_starts,
)


def draws(rows, length, segments, count=400):
    rng = np.random.default_rng(3)
    return np.array([train_starts(rows, length, segments, rng) for _ in range(count)])


@pytest.mark.parametrize(
    ("rows", "length", "starts"), [(10, 1, 10), (10, 5, 6), (5, 5, 1), (4, 5, 1), (1, 6, 1)]
)
def test_a_snippet_starts_at_0_to_rows_minus_length(rows, length, starts):
    assert starts_available(rows, length) == starts


@pytest.mark.parametrize(("rows", "length", "segments"), [(31, 1, 3), (24, 5, 3), (40, 6, 7)])
def test_training_draws_uniformly_from_each_segment(rows, length, segments):
    """d = (N - L + 1) // K starts belong to segment i: i d ... i d + d - 1 (tsn-pytorch)."""
    d = (rows - length + 1) // segments
    found = draws(rows, length, segments, 200 * d)
    for i in range(segments):
        values, counts = np.unique(found[:, i], return_counts=True)
        assert values.tolist() == [i * d + offset for offset in range(d)]
        assert counts.min() > 120 and counts.max() < 300  # 200 expected


def test_segments_are_drawn_independently():
    found = draws(30, 1, 3)
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.2


@pytest.mark.parametrize(("rows", "length"), [(7, 1), (11, 5), (13, 1)])
def test_segments_of_a_single_start_leave_no_choice(rows, length):
    """7 to 13 starts in 7 segments: d = 1."""
    assert (draws(rows, length, 7, 20) == range(7)).all()


def test_between_k_and_k_segments_of_starts_are_random_and_sorted():
    """10 frames, L = 5, K = 7: 6 starts are fewer than 7 segments, 10 frames more."""
    found = draws(10, 5, 7)
    assert (np.diff(found, axis=1) >= 0).all()
    assert set(found.ravel()) == set(range(6))


@pytest.mark.parametrize(("rows", "length", "segments"), [(7, 5, 7), (3, 1, 7), (2, 5, 3)])
def test_a_still_shorter_video_starts_at_0(rows, length, segments):
    assert (draws(rows, length, segments, 20) == 0).all()


def test_no_training_snippet_passes_the_end_unless_the_video_is_shorter_than_one():
    for rows in range(1, 40):
        for length in (1, 5, 6):
            last = draws(rows, length, 3, 20).max() + length
            assert last <= max(rows, length)


@pytest.mark.parametrize(
    ("rows", "length", "segments", "expected"),
    [
        # t = 100 / 4 = 25: 12.5, 37.5, 62.5, 87.5
        (100, 1, 4, [12, 37, 62, 87]),
        # t = (29 - 5 + 1) / 3 = 8.33: 4.17, 12.5, 20.83
        (29, 5, 3, [4, 12, 20]),
        # t = 2 / 4 = .5: .25, .75, 1.25, 1.75
        (2, 1, 4, [0, 0, 1, 1]),
        (3, 5, 4, [0, 0, 0, 0]),
    ],
)
def test_the_test_takes_the_centre_of_each_segment(rows, length, segments, expected):
    """int(t / 2 + t i), t = (N - L + 1) / K (tsn-pytorch)."""
    assert centre_starts(rows, length, segments).tolist() == expected


@pytest.mark.parametrize(
    ("rows", "length", "expected"),
    [
        (100, 1, [4 * i for i in range(25)]),  # 99 // 24 = 4: frames 97, 98, 99 are dropped
        (100, 5, [3 * i for i in range(25)]),  # 95 // 24 = 3
        (20, 1, [0] * 25),
        (3, 5, [0] * 25),
    ],
)
def test_the_release_steps_from_the_first_frame(rows, length, expected):
    """step = (N - L) // 24 (the authors' Caffe release)."""
    assert caffe_starts(rows, length, 25).tolist() == expected


def test_one_snippet_of_the_release_is_the_first():
    assert caffe_starts(100, 5, 1).tolist() == [0]


def test_samplings_of_the_test_by_name():
    """Of 100 frames: 1.5, 5.5, … by tsn-pytorch, every fourth from the first by the release."""
    found = {name: rule(100, 1, 25)[:2].tolist() for name, rule in SNIPPET_SAMPLING.items()}
    assert found == {"segment_centres": [2, 6], "caffe": [0, 4]}


@pytest.mark.parametrize("rule", [centre_starts, caffe_starts])
def test_test_snippets_stay_inside_the_video(rule):
    for rows in range(1, 120):
        for length in (1, 5, 6):
            starts = rule(rows, length, 25)
            assert len(starts) == 25 and starts.min() >= 0
            assert starts.max() + length <= max(rows, length)


@pytest.mark.parametrize(
    ("start", "length", "rows", "expected"),
    [(3, 5, 10, [3, 4, 5, 6, 7]), (0, 5, 3, [0, 1, 2, 2, 2]), (0, 6, 1, [0] * 6)],
)
def test_a_video_shorter_than_a_snippet_repeats_its_last_row(start, length, rows, expected):
    assert snippet_indices(start, length, rows).tolist() == expected


def test_dense_starts_are_a_stride_apart_while_a_snippet_fits():
    assert dense_starts(56, 25, 1).tolist() == [0, 25, 50]
    assert dense_starts(55, 25, 1).tolist() == [0, 25]
    assert dense_starts(56, 25, 0.5).tolist() == [0, 12, 25, 38, 50]
    assert dense_starts(1000, 29.97, 10).tolist() == [0, 300, 599, 899]
    assert dense_starts(3, 25, 1).tolist() == [0]
