"""`python -m tsn.predict`: classify video files with the models of a finished run."""
