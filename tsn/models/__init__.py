"""Backbones, the segmental consensus and the network that joins them."""
