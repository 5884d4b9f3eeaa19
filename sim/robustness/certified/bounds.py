"""From votes under noise to a radius within which the smoothed classifier cannot change its answer.

    g(x) = the class that f(x + sigma z) gives most often, z standard normal
    p    = one-sided lower bound of the share of that class (Clopper and Pearson), wrong with probability <= alpha
    g(x + d) = g(x)  for every |d|_2 < R = sigma * Phi^-1(p),  if p > 1/2

Sources: Cohen, Rosenfeld and Kolter 2019, theorem 1 and algorithm CERTIFY (the runner-up has at most 1 - p); Clopper
and Pearson 1934.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv, ndtri

from neuro.base.errors import UserError


def lower_bound(votes: int, samples: int, alpha: float) -> float:
    """The least share that explains at least so many votes of so many samples with probability alpha.

    The alpha-quantile of Beta(votes, samples - votes + 1); 0 for no votes, alpha^(1 / samples) for all.
    """
    if votes == 0:
        return 0.0
    if votes == samples:
        return math.exp(math.log(alpha) / samples)
    return float(betaincinv(votes, samples - votes + 1, alpha))


def radius_of(votes: int, samples: int, sigma: float, alpha: float) -> float | None:
    """The certified l2 radius, in the unit of sigma; None if so many votes certify nothing: abstained."""
    share = lower_bound(votes, samples, alpha)
    return sigma * float(ndtri(share)) if share > 0.5 else None


def largest_radius(samples: int, sigma: float, alpha: float) -> float:
    """The radius that so many samples can certify at most: if all of them agree. Raises: UserError if none."""
    found = radius_of(samples, samples, sigma, alpha)
    if not found:
        least = math.floor(math.log(alpha) / math.log(0.5)) + 1
        raise UserError(
            f"samples {samples}: at alpha {alpha:g} even {samples} votes of {samples} certify nothing; give at least "
            f"{least}"
        )
    return found


def in_norm(radius: float, norm: str, n_pixels: int) -> float:
    """A radius in l2 as one in `norm`: |d|_2 <= sqrt(n) |d|_inf, so that linf gets radius / sqrt(n), and no more."""
    return radius / math.sqrt(n_pixels) if norm == "linf" else radius
