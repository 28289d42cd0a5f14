"""Decoding of videos in isolated processes, exact or with an error."""

Size = tuple[int, int]
"""Width and height in pixels."""

MAX_SIDE = 16384
"""Pixels of a side: what claims to be larger is damaged, and would take gigabytes."""
