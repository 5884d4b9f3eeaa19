"""How well recordings predict themselves: what the likeness of a model with them can be at most."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neuro.base.arrays import Reals
from sim.brain.similarity import average_ranks, debiased_cka, dissimilarities, rank_correlation

SPLITS = 10  # of the repeats into halves
NO_REPEATS = "no repeats: no ceiling"


def halves(responses: Reals, seed: int = 0) -> Iterator[tuple[Reals, Reals]]:
    """Yield the mean responses [n, units] of two random halves of the repeats of [n, units, repeats], SPLITS times.

    Nothing of recordings without repeats. NaN where a half has none.
    """
    n_repeats = responses.shape[2]
    if n_repeats < 2:
        return
    generator = np.random.default_rng([seed, 0x4A1F])
    for _ in range(SPLITS):
        order = generator.permutation(n_repeats)
        first, second = order[: n_repeats // 2], order[n_repeats // 2 :]
        yield mean_response(responses[:, :, first]), mean_response(responses[:, :, second])


def mean_response(responses: Reals) -> Reals:
    """The mean of [n, units, repeats] over the repeats that are there, of shape [n, units]; NaN without any."""
    there = np.isfinite(responses)
    counts = there.sum(axis=2)
    return np.where(counts > 0, np.where(there, responses, 0.0).sum(axis=2) / np.maximum(counts, 1), np.nan)


def reliability(responses: Reals) -> Reals | None:
    """Of each unit: correlation over images of the two halves, r, for all repeats: 2 r / (1 + r); 0 for r below 0.

    Of shape [units], the mean over splits; None without repeats. Its root is what a perfect model's correlation with
    the mean response is. Source: Spearman 1910; Brown 1910.
    """
    found = [correlations(*pair) for pair in halves(responses)]
    if not found:
        return None
    corrected = [2.0 * r / (1.0 + r) for r in (np.clip(np.nan_to_num(each), 0.0, 1.0) for each in found)]
    mean: Reals = np.mean(corrected, axis=0)
    return mean


def correlations(first: Reals, second: Reals) -> Reals:
    """Pearson correlation over images of each unit of [n, units], NaN left out; 0 where one does not vary."""
    there = np.isfinite(first) & np.isfinite(second)
    counts = np.maximum(there.sum(axis=0), 1)
    centred = []
    for values in (first, second):
        filled = np.where(there, values, 0.0)
        centred.append(np.where(there, filled - filled.sum(axis=0) / counts, 0.0))
    lengths = np.linalg.norm(centred[0], axis=0) * np.linalg.norm(centred[1], axis=0)
    products = np.sum(centred[0] * centred[1], axis=0)
    found: Reals = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 1e-12)
    return found


def alignment_ceiling(responses: Reals) -> float | None:
    """Debiased alignment of one half of the repeats with the other, mean over splits; None without repeats."""
    found = [debiased_cka(*_complete(*pair)) for pair in halves(responses)]
    return float(np.mean(found)) if found else None


def geometry_ceiling(responses: Reals) -> float | None:
    """Rank correlation of the dissimilarities of one half of the repeats with the other's; None without repeats."""
    found = [rank_correlation(*map(dissimilarities, _complete(*pair))) for pair in halves(responses)]
    return float(np.mean(found)) if found else None


def _complete(first: Reals, second: Reals) -> tuple[Reals, Reals]:
    whole = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    return first[whole], second[whole]


def subject_ceiling(geometries: Reals) -> tuple[float, float]:
    """Lower and upper ceiling of a rank correlation with several subjects' dissimilarities, of shape [subjects, pairs].

    Lower: every subject with the mean of the others; upper: with the mean of all; of ranks. Source: Nili et al. 2014.
    """
    ranks = np.array([average_ranks(each) for each in geometries])
    total = ranks.sum(axis=0)
    lower = [rank_correlation(own, (total - own) / (len(ranks) - 1)) for own in ranks]
    upper = [rank_correlation(own, total / len(ranks)) for own in ranks]
    return float(np.mean(lower)), float(np.mean(upper))
