"""Optical flow: TV-L1, its engines, warped flow, quantisation, figures and export."""
