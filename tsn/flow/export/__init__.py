"""What `python -m tsn.flow` does: from names of videos to files of flow."""
