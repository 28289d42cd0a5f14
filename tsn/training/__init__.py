"""Training of one modality on one split."""
