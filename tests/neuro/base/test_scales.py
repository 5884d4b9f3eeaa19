import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuro.base.scales import exponent_for, glorot_bound

law = settings(max_examples=100, deadline=None)
ROUNDING = 1e-12  # the exponent comes from a floating-point logarithm


@law
@given(st.floats(1e-7, 200.0), st.integers(1, 127), st.integers(0, 22))
def test_exponent_is_the_finest_grid_on_which_the_weight_fits(reach, limit, largest):
    exponent = exponent_for(reach, limit, largest)
    assert 0 <= exponent <= largest
    if exponent > 0:
        assert reach * 2**exponent <= limit * (1 + ROUNDING)
    if exponent < largest:
        assert reach * 2 ** (exponent + 1) > limit * (1 - ROUNDING)


@law
@given(st.integers(1, 127), st.integers(0, 22))
def test_a_weight_exactly_at_the_limit_keeps_its_exponent(limit, exponent):
    assert exponent_for(limit * 2.0**-exponent, limit, 22) == exponent


@law
@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(0.01, 4))
def test_glorot_bound_gives_the_variance_that_keeps_signals_level(fan_in, fan_out, gain):
    variance = glorot_bound(fan_in, fan_out, gain) ** 2 / 3  # of the uniform distribution on +-bound
    assert variance == pytest.approx(gain**2 * 2 / (fan_in + fan_out))
    assert glorot_bound(fan_in, fan_out) == glorot_bound(fan_out, fan_in)
    assert math.isclose(glorot_bound(fan_in, fan_out, gain), gain * glorot_bound(fan_in, fan_out))
