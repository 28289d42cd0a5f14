"""Readable figures of flow."""

import numpy as np

from tsn.flow.draw import colour_code
from tsn.flow.export.figures import add_grid_lines, colour_scale, limit_magnitude


def test_the_scale_of_colours_ignores_few_wild_pixels_and_noise():
    flow = np.zeros((2, 2, 50, 50), np.float32)
    assert colour_scale(flow) == 1
    flow[:, 0] = 4
    flow[0, :, :2, :10] = 1000
    assert colour_scale(flow) == 4


def test_motion_above_the_scale_keeps_its_direction_and_stays_within():
    flow = np.array([[3.0, 30.0], [4.0, 40.0]])[:, None]
    shown = limit_magnitude(flow, 10)
    np.testing.assert_array_equal(shown[..., 0], flow[..., 0])
    np.testing.assert_allclose(shown[..., 1], [[6], [8]], rtol=1e-3)
    many = np.random.default_rng(0).normal(0, 50, (2, 100, 100)).astype(np.float32)
    # What is above the scale is darkened, and has no full channel.
    assert (colour_code(limit_magnitude(many, 3), 3).max(axis=-1) == 255).all()


def test_lines_part_the_cells_and_cover_none():
    figure = np.full((4, 6, 3), 200, np.uint8)
    lines = add_grid_lines(figure, 2, 3)
    assert lines.shape == (8, 10, 3)
    assert np.flatnonzero(lines[0, :, 0] == 32).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(lines[:, 0, 0] == 32).tolist() == [2, 3, 4, 5]
