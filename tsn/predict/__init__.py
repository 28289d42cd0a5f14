"""What `python -m tsn.predict` does: from a trained run and video files to fused answers."""
