import numpy as np
import pytest

from tsn.flow.quantise import clipped_fraction, dequantise, quantise


def test_zero_motion_is_128():
    # dense_flow rounds 127.5 up; mmaction2 truncates it to 127.
    assert (quantise(np.zeros((2, 3), np.float32)) == 128).all()


def test_quantising_is_rounding_of_255_steps_over_twice_the_bound():
    flow = np.array([-20, 20, -25, 25, 0.1, -0.1, 10, -19.93], np.float32)
    # round(255 * (v + 20) / 40), clipped.
    assert quantise(flow).tolist() == [0, 255, 0, 255, 128, 127, 191, 0]


def test_halves_round_up_at_any_bound():
    # With a bound of 127.5 px a step is 1 px: v = k + 0 lies halfway between two bytes.
    values = np.arange(-5, 6, dtype=np.float32)
    assert quantise(values, 127.5).tolist() == list(range(123, 134))


@pytest.mark.parametrize("bound", [1.0, 20.0, 33.3])
def test_bytes_survive_the_round_trip(bound):
    data = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(quantise(dequantise(data, bound), bound), data)


def test_dequantised_flow_lies_within_half_a_step():
    flow = np.random.default_rng(0).uniform(-20, 20, (3, 2, 8, 8)).astype(np.float32)
    assert np.abs(dequantise(quantise(flow)) - flow).max() <= 20 / 255 + 1e-5


def test_quantising_leaves_its_argument_alone():
    flow = np.full((2, 2), 3.0, np.float32)
    quantise(flow)
    assert (flow == 3).all()


def test_clipped_fraction_counts_what_exceeds_the_bound():
    assert clipped_fraction(np.array([0.0, 20.0, -20.5, 21.0]), 20.0) == 0.5
    assert clipped_fraction(np.empty((0, 2, 4, 4))) == 0.0


@pytest.mark.parametrize("bound", [-20.0, 0.0, float("nan"), float("inf"), 1e-30, 1e30])
@pytest.mark.parametrize("function", [quantise, dequantise, clipped_fraction])
def test_a_bound_that_makes_no_sense_is_refused(function, bound):
    values = np.zeros((2, 2), np.uint8 if function is dequantise else np.float32)
    with pytest.raises(ValueError, match=r"bound must be 0\.01 to"):
        function(values, bound)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_flow_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="NaN or infinite"):
        quantise(np.full((2, 2), value, np.float32))


def test_only_bytes_are_dequantised():
    with pytest.raises(ValueError, match="must be uint8, not float64"):
        dequantise(np.zeros((2, 2)))
