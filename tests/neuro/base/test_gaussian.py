"""Counter-based Gaussian noise: the distribution, and that nothing but the counters matters."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import kstest

from neuro.base.gaussian import logarithm, quantiles, standard_normal


def test_quantiles_and_logarithms_are_those_of_scipy_and_numpy() -> None:
    grid = np.floor(np.linspace(1e-6, 0.5, 20_001) * 2.0**33) * 2.0**-33
    halves = np.concatenate([2.0 ** -np.arange(1.0, 33.0), grid])
    shares = np.concatenate([halves, 1.0 - halves])
    np.testing.assert_allclose(quantiles(shares), ndtri(shares), rtol=2e-14, atol=1e-15)
    np.testing.assert_allclose(logarithm(halves), np.log(halves), rtol=1e-15, atol=0)


def test_mean_deviation_and_shape_of_the_distribution() -> None:
    drawn = standard_normal(3, 5, 0, 400, 1000)
    assert abs(drawn.mean()) < 4 / np.sqrt(drawn.size)
    assert abs(drawn.std() - 1.0) < 4 / np.sqrt(2 * drawn.size)
    assert kstest(drawn.ravel()[::7], "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(drawn[:, :-1].ravel(), drawn[:, 1:].ravel())[0, 1]) < 0.01


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**64 - 1), st.integers(1, 70), st.data())
def test_rows_do_not_depend_on_what_else_is_drawn(seed: int, stream: int, width: int, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, 30))
    count = data.draw(st.integers(1, 31 - first))
    whole = standard_normal(seed, stream, 0, 31, width)
    np.testing.assert_array_equal(standard_normal(seed, stream, first, count, width), whole[first : first + count])
    assert len(np.unique(whole)) == whole.size or width * 31 > 2000


def test_long_rows_are_cut_where_the_cache_ends_and_stay_the_same() -> None:
    whole = standard_normal(1, 2, 0, 130, 784)
    np.testing.assert_array_equal(np.concatenate([standard_normal(1, 2, row, 1, 784) for row in range(130)]), whole)


@pytest.mark.parametrize("other", [(1, 0), (0, 1), (0, 1 << 63), (2**63 - 1, 0)])
def test_seeds_and_streams_differ(other: tuple[int, int]) -> None:
    assert not np.isin(standard_normal(*other, 0, 20, 20), standard_normal(0, 0, 0, 20, 20)).any()


def test_the_numbers_are_these_for_ever() -> None:
    found = standard_normal(7, 11, 2, 1, 4)[0].tolist()
    assert found == [-0.4518921427198087, -1.5560125240420997, 0.5016286222161876, 0.38132032266415894]
