"""Optical flow: TV-L1, its engines, warped flow, quantisation, figures and export."""

from pathlib import Path

from tsn.runtime.numba_cache import ensure_writable

ensure_writable(Path(__file__).parent)
