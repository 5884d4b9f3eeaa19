"""Alignment and geometry of a layer and recordings, each with its interval and ceiling."""

from __future__ import annotations

import numpy as np

from neuro.base.arrays import Reals
from sim.brain.ceilings import NO_REPEATS, alignment_ceiling, geometry_ceiling, mean_response, subject_ceiling
from sim.brain.measure import Interval, Measure
from sim.brain.similarity import FEWEST_IMAGES, average_ranks, debiased_cka, dissimilarities, rank_correlation

BLOCKS = 10  # of images that the jackknife leaves out in turn
DRAWS = 200  # of images, for the interval of a geometry
NORMAL = 1.96  # standard errors to either side
FEWEST_PATTERNS = 4  # images that a geometry is made of


def alignment(states: Reals, responses: Reals) -> Measure:
    """Debiased alignment of [n, N] with the mean of [n, units, repeats]; interval by a jackknife over blocks of images.

    Its ceiling: the alignment of one half of the repeats with the other.
    """
    n, means = len(states), mean_response(responses)
    if n < FEWEST_IMAGES:
        return Measure(None, n=n, reason=f"{n} images, alignment needs at least {FEWEST_IMAGES}")
    value, ceiling = debiased_cka(states, means), alignment_ceiling(responses)
    return Measure(value, _jackknife(states, means), ceiling, n, reason="" if ceiling is not None else NO_REPEATS)


def _jackknife(first: Reals, second: Reals) -> Interval | None:
    """Value +- 1.96 standard errors of the jackknife that leaves out a block of images; None for too few images."""
    n = len(first)
    if n < 2 * BLOCKS:
        return None
    blocks = np.array_split(np.random.default_rng([n, 0xB10C]).permutation(n), BLOCKS)
    found = [debiased_cka(np.delete(first, block, 0), np.delete(second, block, 0)) for block in blocks]
    error = float(np.sqrt((BLOCKS - 1) / BLOCKS * np.sum(np.square(np.array(found) - np.mean(found)))))
    value = debiased_cka(first, second)
    return value - NORMAL * error, value + NORMAL * error


def geometry(states: Reals, responses: Reals, subjects: tuple[str, ...] = (), seed: int = 0) -> Measure:
    """Rank correlation of the dissimilarities of [n, N] with those of the mean of [n, units, repeats]; bootstrapped.

    Images are drawn with replacement, pairs of the same image left out. Ceiling: between subjects, the name of one for
    each unit, where there are several; else one half of the repeats with the other.
    Source: Kriegeskorte et al. 2008; Nili et al. 2014.
    """
    n, means = len(states), mean_response(responses)
    if n < FEWEST_PATTERNS:
        return Measure(None, n=n, reason=f"{n} images, dissimilarities need at least {FEWEST_PATTERNS}")
    if min(states.shape[1], means.shape[1]) < 2:
        return Measure(None, n=n, reason="patterns of one unit have no correlation")
    pairs = dissimilarities(states), dissimilarities(means)
    value = rank_correlation(*pairs)
    if np.isnan(value):
        return Measure(None, n=n, reason="patterns do not vary")
    low, high = _bootstrap(*pairs, n, seed)
    names = sorted(set(subjects))
    if len(names) > 1:
        each = [dissimilarities(means[:, [name == other for other in subjects]]) for name in names]
        lower, upper = subject_ceiling(np.array(each))
        return Measure(value, (low, high), lower, n, upper)
    ceiling = geometry_ceiling(responses)
    return Measure(value, (low, high), ceiling, n, reason="" if ceiling is not None else NO_REPEATS)


def likeness_of_geometry(states: Reals, geometries: Reals, seed: int = 0) -> Measure:
    """`geometry` with dissimilarities of shape [sets, pairs] in place of responses, the sets those of subjects.

    Held against the mean of the ranks; the ceiling is that between subjects.
    """
    n, own = len(states), dissimilarities(states)
    ranks = np.array([average_ranks(each) for each in geometries])
    value = rank_correlation(own, ranks.mean(axis=0))
    if np.isnan(value):
        return Measure(None, n=n, reason="patterns do not vary")
    interval = _bootstrap(own, ranks.mean(axis=0), n, seed)
    if len(geometries) == 1:
        return Measure(value, interval, None, n, reason="one set of dissimilarities: no ceiling")
    lower, upper = subject_ceiling(geometries)
    return Measure(value, interval, lower, n, upper)


def _bootstrap(first: Reals, second: Reals, n: int, seed: int) -> Interval:
    """95 % of the rank correlations of images drawn with replacement, given their pairs."""
    place = np.zeros((n, n), dtype=np.int64)
    upper = np.triu_indices(n, 1)
    place[upper] = np.arange(len(first))
    place += place.T
    generator, found = np.random.default_rng([seed, 0x60D5]), []
    for _ in range(DRAWS):
        drawn = generator.integers(0, n, n)
        rows, columns = drawn[upper[0]], drawn[upper[1]]
        taken = place[rows, columns][rows != columns]
        found.append(rank_correlation(first[taken], second[taken]))
    low, high = np.nanpercentile(found, (2.5, 97.5))
    return float(low), float(high)
