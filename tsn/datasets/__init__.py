"""Data sets: which videos there are, their classes and splits; the demo set."""
