import numpy as np
import pytest

from tsn.flow.draw import colour_code, colour_wheel, strip


def test_the_wheel_has_middleburys_55_colours():
    # colorcode.cpp of the Middlebury flow code: RY 15, YG 6, GC 4, CB 11, BM 13, MR 6.
    wheel = colour_wheel()
    assert wheel.shape == (55, 3)
    starts = np.cumsum([0, 15, 6, 4, 11, 13])
    assert wheel[starts].tolist() == [
        [255, 0, 0],
        [255, 255, 0],
        [0, 255, 0],
        [0, 255, 255],
        [0, 0, 255],
        [255, 0, 255],
    ]
    assert wheel[1].tolist() == [255, 17, 0]
    assert wheel[16].tolist() == [213, 255, 0]


def test_no_motion_is_white():
    assert (colour_code(np.zeros((2, 3, 4))) == 255).all()


@pytest.mark.parametrize(
    ("direction", "colour"),
    # The angle of (x, y) = (1, 0) starts the wheel: red; (0, 1) is a quarter on, at colour 13.5.
    [((1, 0), (255, 0, 0)), ((0, 1), (255, 229, 0))],
)
def test_direction_gives_the_hue(direction, colour):
    flow = np.array(direction, float).reshape(2, 1, 1)
    assert tuple(colour_code(flow)[0, 0]) == colour


def test_magnitude_gives_the_saturation_and_excess_is_darkened():
    flow = np.zeros((2, 1, 3))
    flow[0, 0] = (1, 2, 4)
    # Half saturated red: 1 - 0.5 * (1 - (1, 0, 0)); beyond the scale: 0.75 * (1, 0, 0).
    assert colour_code(flow, 2.0)[0].tolist() == [[255, 127, 127], [255, 0, 0], [191, 0, 0]]


def test_a_strip_shows_frames_flow_and_warped_flow_below_each_other():
    frames = np.full((4, 5, 6), 40, np.uint8)
    flow, warped = np.zeros((2, 3, 2, 5, 6))
    flow[:, 0] = 2.0
    figure = strip(frames, flow, warped, columns=2)
    assert figure.shape == (15, 12, 3)
    assert (figure[:5] == 40).all()
    assert (figure[5:10] == (255, 0, 0)).all()
    assert (figure[10:] == 255).all()


def test_a_strip_takes_coloured_frames_and_no_warped_flow():
    frames = np.zeros((2, 5, 6, 3), np.uint8)
    assert strip(frames, np.zeros((1, 2, 5, 6))).shape == (10, 6, 3)


def test_what_cannot_be_drawn_is_refused():
    frames = np.zeros((3, 5, 6), np.uint8)
    with pytest.raises(ValueError, match="3 frames have 2 pairs, not the 3 of warped"):
        strip(frames, np.zeros((2, 2, 5, 6)), np.zeros((3, 2, 5, 6)))
    with pytest.raises(ValueError, match="at least one pair"):
        strip(frames[:1], np.zeros((0, 2, 5, 6)))
    with pytest.raises(ValueError, match="max_magnitude"):
        colour_code(np.zeros((2, 3, 4)), 0.0)
    with pytest.raises(ValueError, match="shape"):
        colour_code(np.zeros((3, 4, 2)))


@pytest.mark.parametrize(("value", "magnitude"), [(np.nan, None), (np.inf, 1.0), (1.0, np.inf)])
def test_only_finite_flow_has_a_colour(value, magnitude):
    with pytest.raises(ValueError, match="finite"):
        colour_code(np.full((2, 3, 4), value), magnitude)
