"""Temporal Segment Networks (Wang et al., ECCV 2016): flow, shards, models and fusion."""

__version__ = "0.1.0"
