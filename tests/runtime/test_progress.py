"""Progress lines of long work."""

import logging

import pytest

from tsn.runtime import progress
from tsn.runtime.progress import Meter, duration, track


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00:00"), (59.6, "0:01:00"), (3725, "1:02:05"), (90000, "25:00:00")]
)
def test_durations_are_hours_minutes_seconds(seconds, text):
    assert duration(seconds) == text


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told to."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_line_tells_count_rate_and_time_left(clock, caplog):
    caplog.set_level(logging.INFO, logger="tsn")
    meter = Meter(100, "videos", "flow")
    clock[0] += 20
    meter.advance(10, note=", loss 1.5")
    assert caplog.messages == ["flow: 10/100 videos, 0.5/s, ETA 0:03:00, loss 1.5"]


def test_a_resumed_run_does_not_count_earlier_work_as_speed(clock, caplog):
    caplog.set_level(logging.INFO, logger="tsn")
    meter = Meter(100, "iterations", "train", done=80)
    clock[0] += 20
    meter.advance(10)
    assert caplog.messages == ["train: 90/100 iterations, 0.5/s, ETA 0:00:20"]


def test_lines_keep_their_distance(clock, caplog):
    caplog.set_level(logging.INFO, logger="tsn")
    meter = Meter(100, "videos", "flow")
    for _ in range(60):
        clock[0] += 1
        meter.advance()
    assert len(caplog.messages) == 60 // progress.INTERVAL


def test_tracking_yields_everything_and_says_how_long_it_took(clock, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="tsn")
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: False, raising=False)
    assert list(track("abc", 3, "videos", "decode")) == ["a", "b", "c"]
    assert caplog.messages == ["decode: 3 videos in 0:00:00 (0/s)"]
