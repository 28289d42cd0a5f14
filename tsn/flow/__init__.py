"""Optical flow: TV-L1, its engines, warped flow, quantisation and pictures."""
