"""Optical flow: TV-L1, its engines, warped flow, quantisation, figures and export."""

from pathlib import Path

from tsn.runtime.caches import ensure_numba_cache

ensure_numba_cache(Path(__file__).parent)
