"""How rates fall and weights are averaged."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuro.base.errors import UserError
from sim.training.pace import Mean, Pace


def test_rates_fall_in_a_straight_line_or_geometrically():
    line = Pace(final_rate=0.1, linear=True)
    assert [line.decay(0, 0.0, 4), line.decay(2, 0.0, 4)] == [1.0, pytest.approx(0.55)]
    assert line.decay(3, 1.0, 4) == pytest.approx(0.1)
    assert [Pace(1 / 4).decay(epoch, 0.5, 3) for epoch in range(3)] == [1.0, 0.5, 0.25]


@pytest.mark.parametrize("wrong", [{"final_rate": 0.0}, {"bias_share": 2.0}, {"averaged": 1.5}])
def test_a_pace_is_checked(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Pace(**wrong)


@given(st.lists(st.integers(-32000, 32000), min_size=1, max_size=20))
def test_up_to_the_horizon_it_is_the_plain_mean(values):
    mean = Mean(horizon=10_000)
    for value in values:
        mean.add({"w": np.array([value])}, 100)
    assert abs(int(mean.rounded()["w"][0]) - np.mean(values)) <= 1


@given(st.integers(-32000, 32000), st.integers(-32000, 32000))
def test_beyond_the_horizon_it_forgets(before, after):
    mean = Mean(horizon=400)
    for value in [before] * 20 + [after] * 100:
        mean.add({"w": np.array([value])}, 100)
    assert abs(int(mean.rounded()["w"][0]) - after) <= 1


def test_a_chunk_longer_than_the_horizon_is_taken_as_it_is():
    mean = Mean(horizon=10)
    for value in (5, 9):
        mean.add({"w": np.array([value], dtype=np.int16)}, 100)
    assert mean.rounded()["w"].tolist() == [9]
    assert mean.rounded()["w"].dtype == np.int16
