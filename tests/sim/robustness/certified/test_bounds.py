"""Bounds: against scipy and closed forms, and a toy classifier whose true smoothed radius is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, norm

from neuro.base.errors import UserError
from sim.robustness.certified.bounds import in_norm, largest_radius, lower_bound, radius_of

ALPHA = st.floats(1e-6, 0.4)


@given(st.integers(1, 5000), ALPHA, st.data())
def test_the_lower_bound_is_scipys_quantile_of_beta(samples: int, alpha: float, data: st.DataObject) -> None:
    votes = data.draw(st.integers(0, samples))
    expected = 0.0 if votes == 0 else beta.ppf(alpha, votes, samples - votes + 1)
    assert lower_bound(votes, samples, alpha) == pytest.approx(expected, rel=1e-9)


@given(st.integers(2, 400), ALPHA, st.data())
def test_at_the_bound_so_many_votes_have_probability_alpha(samples: int, alpha: float, data: st.DataObject) -> None:
    votes = data.draw(st.integers(1, samples))
    assert binom.sf(votes - 1, samples, lower_bound(votes, samples, alpha)) == pytest.approx(alpha, rel=1e-6)


@given(st.integers(1, 300), ALPHA)
def test_more_votes_certify_more(samples: int, alpha: float) -> None:
    bounds = [lower_bound(votes, samples, alpha) for votes in range(samples + 1)]
    assert bounds == sorted(bounds)
    assert all(bound <= votes / samples for votes, bound in enumerate(bounds))


def test_known_figures() -> None:
    assert radius_of(10_000, 10_000, 1.0, 0.001) == pytest.approx(norm.ppf(0.001 ** (1 / 10_000)), rel=1e-9)
    assert radius_of(99_000, 100_000, 0.5, 0.001) == pytest.approx(0.5 * norm.ppf(beta.ppf(0.001, 99_000, 1_001)))
    assert radius_of(5_000, 10_000, 1.0, 0.001) is None
    assert in_norm(2.8, "linf", 784) == pytest.approx(0.1)
    assert in_norm(2.8, "l2", 784) == 2.8


@pytest.mark.parametrize(("alpha", "least"), [(0.001, 10), (0.1, 4), (0.25, 3)])
def test_too_few_samples_are_refused_with_the_least_number(alpha: float, least: int) -> None:
    with pytest.raises(
        UserError, match=f"even {least - 1} votes of {least - 1} certify nothing; give at least {least}"
    ):
        largest_radius(least - 1, 1.0, alpha)
    assert largest_radius(least, 1.0, alpha) > 0


@settings(max_examples=200)
@given(st.floats(0.01, 4.0), st.floats(0.05, 2.0), st.integers(10, 20_000), st.floats(0.001, 0.999))
def test_a_linear_classifier_is_certified_within_its_margin(
    margin: float, sigma: float, samples: int, chance: float
) -> None:
    """f(x) = sign of a linear form: its smoothed radius is the margin; an honest count of votes rarely exceeds it."""
    share = norm.cdf(margin / sigma)
    votes = int(binom.ppf(min(chance, 1 - 0.002), samples, share))  # all but the luckiest alpha of counts
    radius = radius_of(votes, samples, sigma, 0.001)
    assert radius is None or radius <= margin * (1 + 1e-9)


def test_with_many_samples_the_radius_tends_to_the_margin() -> None:
    margin, sigma, n = 0.7, 0.5, 10**8
    votes = round(norm.cdf(margin / sigma) * n)
    radius = radius_of(votes, n, sigma, 0.001)
    assert radius is not None
    assert 0.999 * margin < radius < margin
    assert math.isclose(largest_radius(10_000, 0.5, 0.001), 1.5998, abs_tol=0.01)
