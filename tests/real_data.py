"""Real clips and images, which the project does not hold: tests that want them are skipped without.

`TSN_TEST_DATA` names their folder; by default it is `shared/data` beside the project.
"""

import os
from pathlib import Path

DATA = Path(os.environ.get("TSN_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
CLIPS = DATA / "ucf101-mini" / "UCF-101"
"""Clips of UCF101, a folder per class."""

MIDDLEBURY = DATA / "middlebury"
"""Scenes of the Middlebury benchmark with their true flow."""
