"""Decoding of videos in isolated processes, exact or with an error."""
