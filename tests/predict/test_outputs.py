"""Where predictions are written is checked before any work."""

from pathlib import Path

import pytest

from tsn.predict.outputs import names_of, plan_outputs
from tsn.runtime.errors import UserError


def test_one_file_is_not_written_twice(tmp_path):
    video, strip = tmp_path / "a.mp4", tmp_path / "out.png"
    (tmp_path / "link.json").symlink_to(strip)
    for json in (strip, tmp_path / "link.json"):
        with pytest.raises(UserError, match="is the file of a figure as well"):
            plan_outputs([video], str(json), str(strip), None)


def test_videos_whose_names_differ_only_by_endings_have_names_of_their_own():
    videos = [Path("/v") / name for name in ("a.mp4", "a.avi", "a.mp4.mkv", "b.mp4")]
    assert [*names_of(videos).values()] == ["a.mp4", "a.avi", "a.mp4.mkv", "b"]
